package openinference

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
)

// ClientConfig says which model of which server is asked, and how.
type ClientConfig struct {
	// Endpoint is the base URL of the server; the protocol's paths come behind its path.
	Endpoint string
	// Model is the name of the model. Version may be empty: then the server chooses.
	Model, Version string
	// Input is the name of the tensor that takes vectors, of shape [batch, features]. Output is the name of the one that
	// returns a score for each vector, of shape [batch] or [batch, 1]; empty stands for the only output.
	Input, Output string
	// Datatype is the type of Input.
	Datatype Datatype
	// MaxRequestBytes and MaxResponseBytes bound the bodies.
	MaxRequestBytes, MaxResponseBytes int64
}

// Client asks one model of one server. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	cfg   ClientConfig
	base  *url.URL
	model *url.URL
	calls atomic.Uint64
}

// NewClient makes a client that sends through the given one.
func NewClient(client *http.Client, cfg ClientConfig) (*Client, error) {
	base, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("parse endpoint: %w", err)
	}
	if (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("endpoint must be an http or https URL, got %q", base.Redacted())
	}
	if cfg.Model == "" || cfg.Input == "" {
		return nil, errors.New("name of the model and of its input must not be empty")
	}
	for _, part := range []string{cfg.Model, cfg.Version} {
		if part == "." || part == ".." {
			return nil, fmt.Errorf("name and version of the model must not be %q, which is another path", part)
		}
	}
	if cfg.Datatype != FP32 && cfg.Datatype != FP64 {
		return nil, fmt.Errorf("data type must be %s or %s, got %q", FP32, FP64, cfg.Datatype)
	}
	if cfg.MaxRequestBytes <= 0 || cfg.MaxResponseBytes <= 0 {
		return nil, fmt.Errorf("bounds of bodies must be greater than 0, got %d and %d", cfg.MaxRequestBytes, cfg.MaxResponseBytes)
	}
	model := base.JoinPath("v2", "models", url.PathEscape(cfg.Model))
	if cfg.Version != "" {
		model = model.JoinPath("versions", url.PathEscape(cfg.Version))
	}
	return &Client{http: client, cfg: cfg, base: base, model: model}, nil
}

// TensorInfo is what a model's metadata say about a tensor. A dimension of -1 may have any size.
type TensorInfo struct {
	Name     string   `json:"name"`
	Datatype Datatype `json:"datatype"`
	Shape    []int64  `json:"shape"`
}

// Metadata is what a server says about its model.
type Metadata struct {
	Name     string       `json:"name"`
	Versions []string     `json:"versions"`
	Platform string       `json:"platform"`
	Inputs   []TensorInfo `json:"inputs"`
	Outputs  []TensorInfo `json:"outputs"`
}

// Ready asks whether the server is ready; nil says yes.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodGet, c.base.JoinPath("v2", "health", "ready"), nil)
	return err
}

// Metadata asks for the model's metadata.
func (c *Client) Metadata(ctx context.Context) (Metadata, error) {
	var m Metadata
	body, err := c.do(ctx, http.MethodGet, c.model, nil)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return Metadata{}, fail(ReasonMalformed, "decode metadata: %w", err)
	}
	if m.Name != c.cfg.Model {
		return Metadata{}, fail(ReasonMalformed, "metadata are of model %q, not %q", clipped(m.Name), c.cfg.Model)
	}
	return m, nil
}

// Check asks whether the server is ready and whether its model has the tensors that will be used. Servers that say
// nothing about tensors pass.
func (c *Client) Check(ctx context.Context) error {
	if err := c.Ready(ctx); err != nil {
		return err
	}
	m, err := c.Metadata(ctx)
	if err != nil {
		return err
	}
	if len(m.Inputs) > 0 {
		in := named(m.Inputs, c.cfg.Input)
		switch {
		case in == nil:
			return fail(ReasonMalformed, "model has no input %q", c.cfg.Input)
		case in.Datatype != c.cfg.Datatype:
			return fail(ReasonMalformed, "input %q is of type %q, not %s", c.cfg.Input, clipped(string(in.Datatype)), c.cfg.Datatype)
		case len(in.Shape) != 2:
			return fail(ReasonMalformed, "input %q has shape %v, which must be [batch, features]", c.cfg.Input, in.Shape)
		case len(m.Inputs) > 1:
			return fail(ReasonMalformed, "model needs %d inputs, not only %q", len(m.Inputs), c.cfg.Input)
		}
	}
	if len(m.Outputs) > 0 {
		out := named(m.Outputs, c.cfg.Output)
		switch {
		case out == nil && c.cfg.Output == "":
			return fail(ReasonMalformed, "model has %d outputs; name the one with the scores", len(m.Outputs))
		case out == nil:
			return fail(ReasonMalformed, "model has no output %q", c.cfg.Output)
		case out.Datatype != FP32 && out.Datatype != FP64:
			return fail(ReasonMalformed, "output %q is of type %q, not %s or %s", clipped(out.Name), clipped(string(out.Datatype)), FP32, FP64)
		}
	}
	return nil
}

// named returns the tensor of that name; of one tensor alone, the empty name is enough.
func named(all []TensorInfo, name string) *TensorInfo {
	for i := range all {
		if all[i].Name == name || (name == "" && len(all) == 1) {
			return &all[i]
		}
	}
	return nil
}

// Score asks for the scores of vectors, which must all have the same number of values, at least one. It returns one
// finite score for each, in their order.
func (c *Client) Score(ctx context.Context, vectors [][]float64) ([]float64, error) {
	if len(vectors) == 0 || len(vectors[0]) == 0 {
		return nil, fail(ReasonInvalidInput, "there is no vector, or an empty one")
	}
	features := len(vectors[0])
	input := Tensor{
		Name: c.cfg.Input, Datatype: c.cfg.Datatype, Shape: []int64{int64(len(vectors)), int64(features)},
		Data: make([]float64, 0, len(vectors)*features),
	}
	for i, v := range vectors {
		if len(v) != features {
			return nil, fail(ReasonInvalidInput, "vector %d has %d values, the first one %d", i, len(v), features)
		}
		input.Data = append(input.Data, v...)
	}
	id := strconv.FormatUint(c.calls.Add(1), 10)
	request, err := appendRequest(nil, id, &input, c.cfg.Output)
	if err != nil {
		return nil, err
	}
	if int64(len(request)) > c.cfg.MaxRequestBytes {
		return nil, fail(ReasonTooLarge, "request has %d bytes, more than %d", len(request), c.cfg.MaxRequestBytes)
	}
	body, err := c.do(ctx, http.MethodPost, c.model.JoinPath("infer"), request)
	if err != nil {
		return nil, err
	}
	response, err := DecodeResponse(body)
	if err != nil {
		return nil, err
	}
	return c.scores(&response, id, len(vectors))
}

// scores takes the scores out of an answer, if it is the answer to what was asked.
func (c *Client) scores(r *Response, id string, vectors int) ([]float64, error) {
	switch {
	case r.ModelName != c.cfg.Model:
		return nil, fail(ReasonMalformed, "answer is of model %q, not %q", clipped(r.ModelName), c.cfg.Model)
	case c.cfg.Version != "" && r.ModelVersion != "" && r.ModelVersion != c.cfg.Version:
		return nil, fail(ReasonMalformed, "answer is of version %q, not %q", clipped(r.ModelVersion), c.cfg.Version)
	case r.ID != "" && r.ID != id:
		return nil, fail(ReasonMalformed, "answer is to request %q, not %q", clipped(r.ID), id)
	}
	var output *Tensor
	for i := range r.Outputs {
		if r.Outputs[i].Name != c.cfg.Output && c.cfg.Output != "" {
			continue
		}
		if output != nil {
			return nil, fail(ReasonMalformed, "answer has several outputs that may be meant by %q", c.cfg.Output)
		}
		output = &r.Outputs[i]
	}
	switch {
	case output == nil:
		return nil, fail(ReasonMalformed, "answer has no output %q", c.cfg.Output)
	case output.Datatype != FP32 && output.Datatype != FP64:
		return nil, fail(ReasonMalformed, "output %q is of type %q, not %s or %s", clipped(output.Name), clipped(string(output.Datatype)), FP32, FP64)
	case len(output.Shape) == 0 || output.Shape[0] != int64(vectors) || len(output.Data) != vectors:
		return nil, fail(ReasonMalformed, "output %q has shape %v, which must be one score for each of %d vectors", clipped(output.Name), output.Shape, vectors)
	}
	return output.Data, nil
}

// do sends a request and returns the bounded body of a successful answer.
func (c *Client) do(ctx context.Context, method string, to *url.URL, content []byte) ([]byte, error) {
	var reader io.Reader
	if content != nil {
		reader = bytes.NewReader(content)
	}
	request, err := http.NewRequestWithContext(ctx, method, to.String(), reader)
	if err != nil {
		return nil, fail(ReasonTransport, "make request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, interrupted(ctx, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, c.cfg.MaxResponseBytes+1))
	switch {
	case err != nil:
		return nil, interrupted(ctx, err)
	case answer.StatusCode != http.StatusOK:
		return nil, refusal(answer.StatusCode, body)
	case int64(len(body)) > c.cfg.MaxResponseBytes:
		return nil, fail(ReasonTooLarge, "answer has more than %d bytes", c.cfg.MaxResponseBytes)
	}
	return body, nil
}

// refusal makes an error of an answer that is not a success, with what the server says about it.
func refusal(status int, body []byte) error {
	text := http.StatusText(status)
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		text = strconv.Quote(clipped(strings.ToValidUTF8(said.Error, "?")))
	}
	reason := ReasonServer
	switch {
	case status == http.StatusTooManyRequests:
		reason = ReasonThrottled
	case status == http.StatusRequestTimeout || status == http.StatusGatewayTimeout:
		reason = ReasonTimeout
	case status >= 400 && status < 500:
		reason = ReasonRejected
	}
	return &Error{Reason: reason, Status: status, err: errors.New(text)}
}
