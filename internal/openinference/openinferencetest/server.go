// Package openinferencetest is a model server for tests that speaks the Open Inference Protocol, version 2, over HTTP.
package openinferencetest

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
)

// Server serves one model with the input tensor "input", of type FP32 and shape [-1, Features], and the output tensor
// "score", of shape [-1, 1].
type Server struct {
	// Model is the name of the model.
	Model string
	// Features is the number of values that a vector must have; 0 takes any.
	Features int
	// Score is the model.
	Score func(vector []float64) float64
	// Answer, when not nil, takes the place of every answer to an inference request.
	Answer func(w http.ResponseWriter, r *http.Request)

	requests, vectors atomic.Int64
}

// Requests returns how many inference requests came.
func (s *Server) Requests() int { return int(s.requests.Load()) }

// Vectors returns how many vectors were scored.
func (s *Server) Vectors() int { return int(s.vectors.Load()) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/health/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v2/models/{model}", s.metadata)
	mux.HandleFunc("GET /v2/models/{model}/versions/{version}", s.metadata)
	mux.HandleFunc("POST /v2/models/{model}/infer", s.infer)
	mux.HandleFunc("POST /v2/models/{model}/versions/{version}/infer", s.infer)
	mux.ServeHTTP(w, r)
}

type tensor struct {
	Name     string    `json:"name"`
	Shape    []int     `json:"shape"`
	Datatype string    `json:"datatype"`
	Data     []float64 `json:"data,omitempty"`
}

func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("model") != s.Model {
		refuse(w, http.StatusNotFound, "unknown model")
		return
	}
	features := s.Features
	if features == 0 {
		features = -1
	}
	reply(w, map[string]any{
		"name": s.Model, "versions": []string{"1"}, "platform": "test",
		"inputs":  []tensor{{Name: "input", Datatype: "FP32", Shape: []int{-1, features}}},
		"outputs": []tensor{{Name: "score", Datatype: "FP32", Shape: []int{-1, 1}}},
	})
}

func (s *Server) infer(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	if s.Answer != nil {
		s.Answer(w, r)
		return
	}
	var request struct {
		ID     string   `json:"id"`
		Inputs []tensor `json:"inputs"`
	}
	switch err := json.NewDecoder(r.Body).Decode(&request); {
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	case r.PathValue("model") != s.Model:
		refuse(w, http.StatusNotFound, "unknown model")
		return
	case len(request.Inputs) != 1 || request.Inputs[0].Name != "input" || request.Inputs[0].Datatype != "FP32":
		refuse(w, http.StatusBadRequest, "one input is needed: input, FP32")
		return
	}
	in := request.Inputs[0]
	if len(in.Shape) != 2 || in.Shape[0] < 1 || in.Shape[1] < 1 || in.Shape[0]*in.Shape[1] != len(in.Data) || (s.Features > 0 && in.Shape[1] != s.Features) {
		refuse(w, http.StatusBadRequest, "the shape of input does not fit")
		return
	}
	out := tensor{Name: "score", Datatype: "FP32", Shape: []int{in.Shape[0], 1}}
	for i := range in.Shape[0] {
		out.Data = append(out.Data, s.Score(in.Data[i*in.Shape[1]:(i+1)*in.Shape[1]]))
	}
	s.vectors.Add(int64(in.Shape[0]))
	version := r.PathValue("version")
	if version == "" {
		version = "1"
	}
	reply(w, map[string]any{"model_name": s.Model, "model_version": version, "id": request.ID, "outputs": []tensor{out}})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // the client may be gone
}
