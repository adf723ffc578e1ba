module imageedit.example/http

go 1.19
