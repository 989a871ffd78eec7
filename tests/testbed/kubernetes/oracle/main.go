// The reading oracle: what `kubectl apply --server-side` sends for a file.
//
// Each line of the standard input is one case, the file's bytes in base64. Each line of the output answers one case, as JSON: either
// {"objects": [...]} with the objects in the order in which kubectl sends them, or {"error": "..."}.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/kubectl/pkg/validation"
)

type answer struct {
	Objects []json.RawMessage `json:"objects"`
	Error   string            `json:"error,omitempty"`
}

// modernServer stands for an API server that validates fields itself, as all supported ones do.
type modernServer struct{}

func (modernServer) HasSupport(schema.GroupVersionKind) error { return nil }

func read(file []byte) ([]json.RawMessage, error) {
	// kubectl's FileVisitor lets a byte-order mark decide the encoding in the same way.
	reader := transform.NewReader(bytes.NewReader(file), unicode.BOMOverride(unicode.UTF8.NewDecoder()))
	fields := validation.NewParamVerifyingSchema(validation.NullSchema{}, modernServer{}, "Strict")
	infos, err := resource.NewLocalBuilder().Unstructured().Schema(fields).ContinueOnError().Stream(reader, "file").Flatten().Do().Infos()
	if err != nil {
		return nil, err
	}
	objects := []json.RawMessage{}
	for _, info := range infos {
		data, err := runtime.Encode(unstructured.UnstructuredJSONScheme, info.Object)
		if err != nil {
			return nil, err
		}
		objects = append(objects, bytes.TrimSpace(data))
	}
	return objects, nil
}

func main() {
	input := bufio.NewReader(os.Stdin)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		file, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(line)))
		if err != nil {
			fmt.Fprintln(os.Stderr, "not base64:", err)
			os.Exit(2)
		}
		given := answer{}
		if given.Objects, err = read(file); err != nil {
			given.Error = err.Error()
		}
		if err := json.NewEncoder(output).Encode(given); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
}
