#!/bin/sh
# Writes imageedit/v1/*.go from the contract. PROTOC may name another protoc than the project's.
set -eu
cd "$(dirname "$0")"
proto=../../../../proto
protoc=${PROTOC:-../../../../.venv/bin/python -m grpc_tools.protoc}
module=imageedit.example/grpc
files="imageedit/v1/image_edit.proto imageedit/v1/error_reason.proto"
mapped=module=$module
for file in $files; do mapped=$mapped,M$file=$module/imageedit/v1; done

GOBIN=$(pwd)/bin
export GOBIN
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.33.0
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.4.0
PATH=$GOBIN:$PATH $protoc -I "$proto" --go_out=. --go_opt="$mapped" \
	--go-grpc_out=. --go-grpc_opt="$mapped" $files
