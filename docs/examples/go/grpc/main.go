// Edit a picture of any size over gRPC: ./generate.sh && go run . IMAGE MASK OUTPUT
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "imageedit.example/grpc/imageedit/v1"
)

const chunk = 1 << 20 // the most that a message may carry

func main() {
	log.SetFlags(0)
	image, mask, output := os.Args[1], os.Args[2], os.Args[3]
	address := os.Getenv("IMAGEEDIT_GRPC_ADDRESS")
	if address == "" {
		address = "127.0.0.1:50051"
	}
	connection, err := grpc.NewClient(
		address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer connection.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(
		ctx, "authorization", "Bearer "+os.Getenv("IMAGEEDIT_KEY"))
	call, err := pb.NewImageEditClient(connection).StreamEditImage(ctx)
	check(err)

	// A call that was refused ends the sending; why, is said when receiving.
	_ = call.Send(&pb.StreamEditImageRequest{Payload: &pb.StreamEditImageRequest_Parameters{
		Parameters: &pb.EditImageRequest{
			Model:  "openai/gpt-image-2",
			Prompt: "turn the sky into a watercolor sunset",
		}}})
	for data := read(image); len(data) > 0; data = data[min(chunk, len(data)):] {
		piece := &pb.ImageChunk{Data: data[:min(chunk, len(data))]}
		_ = call.Send(&pb.StreamEditImageRequest{
			Payload: &pb.StreamEditImageRequest_ImageChunk{ImageChunk: piece}})
	}
	for data := read(mask); len(data) > 0; data = data[min(chunk, len(data)):] {
		piece := &pb.ImageChunk{Data: data[:min(chunk, len(data))]}
		_ = call.Send(&pb.StreamEditImageRequest{
			Payload: &pb.StreamEditImageRequest_MaskChunk{MaskChunk: piece}})
	}
	_ = call.CloseSend()

	var facts *pb.EditImageResponse
	var picture []byte
	for {
		event, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		check(err)
		if progress := event.GetProgress(); progress != nil {
			fmt.Printf("still at work after %.0f s\n", progress.ElapsedSeconds)
		}
		if result := event.GetResult(); result != nil {
			facts = result
		}
		picture = append(picture, event.GetResultChunk().GetData()...)
	}
	check(os.WriteFile(output, picture, 0o644))
	dollars := float64(facts.Usage.CostNanos) / 1e9
	fmt.Printf("%s: %dx%d, $%g\n", output, facts.Width, facts.Height, dollars)
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	check(err)
	return data
}

func min(one, other int) int {
	if one < other {
		return one
	}
	return other
}

func check(err error) {
	if err != nil {
		log.Fatalf("%s: %s", status.Code(err), status.Convert(err).Message())
	}
}
