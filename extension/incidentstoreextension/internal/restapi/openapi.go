package restapi

import (
	_ "embed" // the document
	"encoding/json"
	"sync"

	"gopkg.in/yaml.v3"
)

//go:embed openapi.yaml
var openAPI []byte

// openAPIDocument is the description of this API, as JSON.
var openAPIDocument = sync.OnceValues(func() ([]byte, error) {
	var document map[string]any
	if err := yaml.Unmarshal(openAPI, &document); err != nil {
		return nil, err
	}
	return json.MarshalIndent(document, "", "  ")
})

func (a *API) openAPIYAML(*call) (any, error) { return rawBody{"application/yaml", openAPI}, nil }

func (a *API) openAPIJSON(*call) (any, error) {
	document, err := openAPIDocument()
	return rawBody{"application/json", document}, err
}
