// Edit a picture over HTTP with the standard library alone: go run . IMAGE MASK OUTPUT
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

type answer struct {
	Size string
	Data []struct {
		Picture []byte `json:"b64_json"` // Go decodes base64 into bytes by itself
	}
	Usage struct{ Cost json.Number }
	Error struct{ Code, Message string }
}

func main() {
	log.SetFlags(0)
	image, mask, output := os.Args[1], os.Args[2], os.Args[3]
	url := os.Getenv("IMAGEEDIT_URL")
	if url == "" {
		url = "http://127.0.0.1:8080"
	}

	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	check(form.WriteField("model", "openai/gpt-image-2"))
	check(form.WriteField("prompt", "turn the sky into a watercolor sunset"))
	addFile(form, "image", image)
	addFile(form, "mask", mask) // opaque pixels are edited, transparent ones stay
	check(form.Close())

	request, err := http.NewRequest("POST", url+"/v1/images/edits", &body)
	check(err)
	request.Header.Set("Authorization", "Bearer "+os.Getenv("IMAGEEDIT_KEY"))
	request.Header.Set("Content-Type", form.FormDataContentType())
	client := http.Client{Timeout: 6 * time.Minute}
	response, err := client.Do(request)
	check(err)
	defer response.Body.Close()

	var got answer
	check(json.NewDecoder(response.Body).Decode(&got))
	if response.StatusCode != http.StatusOK {
		id := response.Header.Get("x-request-id")
		log.Fatalf("%s: %s (request %s)", got.Error.Code, got.Error.Message, id)
	}
	check(os.WriteFile(output, got.Data[0].Picture, 0o644))
	fmt.Printf("%s: %s, $%s\n", output, got.Size, got.Usage.Cost)
}

func addFile(form *multipart.Writer, field, path string) {
	file, err := os.Open(path)
	check(err)
	defer file.Close()
	part, err := form.CreateFormFile(field, filepath.Base(path))
	check(err)
	_, err = io.Copy(part, file)
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
