// Package openinference asks a model server for scores by the Open Inference Protocol, version 2, over HTTP with JSON
// (https://github.com/kserve/open-inference-protocol), and never lets the asking hold up who asks.
//
// A Client speaks the protocol: health, metadata, and inference on named, typed tensors. It believes nothing: size, name,
// shape, type, length and finiteness of every answer are checked. A Scorer stands before it with a bounded queue, a
// bounded number of requests under way, batches, a time-out and a circuit breaker.
package openinference

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// Datatype is the type of a tensor's elements.
type Datatype string

// The types that scores and features have. FP32 values are rounded to single precision.
const (
	FP32 Datatype = "FP32"
	FP64 Datatype = "FP64"
)

func (d Datatype) bits() int {
	if d == FP32 {
		return 32
	}
	return 64
}

// Tensor is a named tensor. Data holds its elements in row-major order.
type Tensor struct {
	Name     string
	Datatype Datatype
	Shape    []int64
	Data     []float64
}

// Response is the answer to an inference request.
type Response struct {
	ModelName    string
	ModelVersion string
	ID           string
	Outputs      []Tensor
}

const (
	// maxDepth bounds the nesting of an answer's data, as many dimensions as anybody has.
	maxDepth = 8
	// maxOutputs bounds the tensors of an answer.
	maxOutputs = 64
)

// appendRequest encodes one input tensor and the names of the outputs asked for.
func appendRequest(buf []byte, id string, input *Tensor, output string) ([]byte, error) {
	buf = append(buf, `{"id":`...)
	buf = appendString(buf, id)
	buf = append(buf, `,"inputs":[{"name":`...)
	buf = appendString(buf, input.Name)
	buf = append(buf, `,"shape":[`...)
	for i, n := range input.Shape {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = strconv.AppendInt(buf, n, 10)
	}
	buf = append(buf, `],"datatype":`...)
	buf = appendString(buf, string(input.Datatype))
	buf = append(buf, `,"data":[`...)
	for i, v := range input.Data {
		if i > 0 {
			buf = append(buf, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) || (input.Datatype == FP32 && math.IsInf(float64(float32(v)), 0)) {
			return buf, fail(ReasonInvalidInput, "element %d is %v, which %s cannot hold", i, v, input.Datatype)
		}
		buf = strconv.AppendFloat(buf, v, 'g', -1, input.Datatype.bits())
	}
	buf = append(buf, `]}]`...)
	if output != "" {
		buf = append(buf, `,"outputs":[{"name":`...)
		buf = appendString(buf, output)
		buf = append(buf, `}]`...)
	}
	return append(buf, '}'), nil
}

func appendString(buf []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		return append(buf, `""`...) // a string always has an encoding
	}
	return append(buf, quoted...)
}

type wireResponse struct {
	ModelName    string       `json:"model_name"`
	ModelVersion string       `json:"model_version"`
	ID           string       `json:"id"`
	Outputs      []wireTensor `json:"outputs"`
	Error        string       `json:"error"`
}

type wireTensor struct {
	Name     string          `json:"name"`
	Shape    []int64         `json:"shape"`
	Datatype Datatype        `json:"datatype"`
	Data     json.RawMessage `json:"data"`
}

// DecodeResponse reads the answer to an inference request. Data may be flat or nested. Of each output of type FP32 or FP64
// the number of elements is that of its shape, and all are finite; outputs of other types come without data. The error
// has reason ReasonMalformed or ReasonNotFinite.
func DecodeResponse(body []byte) (Response, error) {
	var wire wireResponse
	if err := json.Unmarshal(body, &wire); err != nil {
		return Response{}, fail(ReasonMalformed, "decode answer: %w", err)
	}
	if wire.Error != "" {
		return Response{}, fail(ReasonMalformed, "answer says success and error %q", clipped(wire.Error))
	}
	if len(wire.Outputs) == 0 || len(wire.Outputs) > maxOutputs {
		return Response{}, fail(ReasonMalformed, "answer has %d outputs, which must be 1 to %d", len(wire.Outputs), maxOutputs)
	}
	r := Response{ModelName: wire.ModelName, ModelVersion: wire.ModelVersion, ID: wire.ID}
	for i := range wire.Outputs {
		t, err := wire.Outputs[i].tensor()
		if err != nil {
			return Response{}, err
		}
		r.Outputs = append(r.Outputs, t)
	}
	return r, nil
}

func (w *wireTensor) tensor() (Tensor, error) {
	t := Tensor{Name: w.Name, Datatype: w.Datatype, Shape: w.Shape}
	if len(t.Shape) > maxDepth {
		return t, fail(ReasonMalformed, "output %q has %d dimensions, more than %d", clipped(t.Name), len(t.Shape), maxDepth)
	}
	if t.Datatype != FP32 && t.Datatype != FP64 {
		return t, nil
	}
	want := int64(1)
	for _, n := range t.Shape {
		// Every element takes two bytes of the answer at least, so that a larger shape cannot be true.
		if n < 0 || (n > 0 && want > int64(len(w.Data))/2/n) {
			return t, fail(ReasonMalformed, "output %q has shape %v, which its data cannot have", clipped(t.Name), t.Shape)
		}
		want *= n
	}
	t.Data = make([]float64, 0, want)
	d := json.NewDecoder(bytes.NewReader(w.Data))
	d.UseNumber()
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return t, fail(ReasonMalformed, "decode data of output %q: %w", clipped(t.Name), err)
		}
		switch v := token.(type) {
		case json.Delim:
			switch v {
			case '[':
				depth++
			case ']':
				depth--
			default:
				return t, fail(ReasonMalformed, "data of output %q is not an array of numbers", clipped(t.Name))
			}
			if depth > maxDepth {
				return t, fail(ReasonMalformed, "data of output %q is nested deeper than %d", clipped(t.Name), maxDepth)
			}
			if depth > 0 {
				continue
			}
			if int64(len(t.Data)) != want {
				return t, fail(ReasonMalformed, "output %q has %d elements, its shape %v says %d", clipped(t.Name), len(t.Data), t.Shape, want)
			}
			return t, nil
		case json.Number:
			if depth == 0 || int64(len(t.Data)) >= want {
				return t, fail(ReasonMalformed, "output %q has more elements than its shape %v says", clipped(t.Name), t.Shape)
			}
			f, err := strconv.ParseFloat(string(v), t.Datatype.bits())
			if err != nil {
				return t, fail(ReasonNotFinite, "element %d of output %q: %w", len(t.Data), clipped(t.Name), err)
			}
			t.Data = append(t.Data, f)
		case nil:
			// Servers that write null for what is not a number mean one.
			return t, fail(ReasonNotFinite, "element %d of output %q is null", len(t.Data), clipped(t.Name))
		default:
			return t, fail(ReasonMalformed, "element %d of output %q is not a number", len(t.Data), clipped(t.Name))
		}
	}
}

// clipped shortens foreign text for an error.
func clipped(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
