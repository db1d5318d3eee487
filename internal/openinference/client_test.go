package openinference_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/openinference"
	"github.com/paramedic-otel/paramedic/internal/openinference/openinferencetest"
)

func sum(vector []float64) float64 {
	total := 0.0
	for _, v := range vector {
		total += v
	}
	return total
}

func config(change ...func(*openinference.ClientConfig)) openinference.ClientConfig {
	cfg := openinference.ClientConfig{
		Model: "entity", Input: "input", Output: "score", Datatype: openinference.FP32, MaxRequestBytes: 1 << 16, MaxResponseBytes: 1 << 12,
	}
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

// serve starts a server and returns a client of it.
func serve(t *testing.T, s *openinferencetest.Server, change ...func(*openinference.ClientConfig)) *openinference.Client {
	t.Helper()
	if s.Model == "" {
		s.Model, s.Score = "entity", sum
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	cfg := config(change...)
	cfg.Endpoint = server.URL
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	c, err := openinference.NewClient(client, cfg)
	require.NoError(t, err)
	return c
}

func TestScores(t *testing.T) {
	for name, change := range map[string]func(*openinference.ClientConfig){
		"named output": func(*openinference.ClientConfig) {},
		"only output":  func(c *openinference.ClientConfig) { c.Output = "" },
		"version":      func(c *openinference.ClientConfig) { c.Version = "7" },
	} {
		t.Run(name, func(t *testing.T) {
			server := &openinferencetest.Server{Features: 3}
			c := serve(t, server, change)
			require.NoError(t, c.Check(t.Context()))
			got, err := c.Score(t.Context(), [][]float64{{1, 2, 3}, {-1, 0.5, 1e-7}})
			require.NoError(t, err)
			assert.InDeltaSlice(t, []float64{6, -0.4999999}, got, 1e-6)
			assert.Equal(t, 2, server.Vectors())
		})
	}
}

// What is sent is what the protocol says, and a name cannot leave its place in the path.
func TestRequest(t *testing.T) {
	var path, body, kind string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		path, body, kind = r.URL.EscapedPath(), string(content), r.Header.Get("Content-Type")
		fmt.Fprint(w, `{"model_name":"a/../b","outputs":[{"name":"out","datatype":"FP64","shape":[1],"data":[0.25]}]}`)
	}))
	defer server.Close()
	cfg := config(func(c *openinference.ClientConfig) {
		c.Endpoint, c.Model, c.Version, c.Input, c.Output, c.Datatype = server.URL+"/prefix/", "a/../b", "1 0", `in"put`, "out", openinference.FP64
	})
	c, err := openinference.NewClient(server.Client(), cfg)
	require.NoError(t, err)
	got, err := c.Score(t.Context(), [][]float64{{1, 0.1}})
	require.NoError(t, err)
	assert.Equal(t, []float64{0.25}, got)
	assert.Equal(t, "/prefix/v2/models/a%2F..%2Fb/versions/1%200/infer", path)
	assert.Equal(t, "application/json", kind)
	assert.JSONEq(t, `{"id":"1","inputs":[{"name":"in\"put","shape":[1,2],"datatype":"FP64","data":[1,0.1]}],"outputs":[{"name":"out"}]}`, body)
}

func answer(body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func status(code int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func TestWrongAnswers(t *testing.T) {
	const head = `{"model_name":"entity","outputs":[`
	for name, tc := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		reason openinference.Reason
		text   string
	}{
		"throttled":          {status(429, ""), openinference.ReasonThrottled, "Too Many Requests"},
		"error body":         {status(400, `{"error":"unexpected shape"}`), openinference.ReasonRejected, `status 400: "unexpected shape"`},
		"unauthorized":       {status(401, "<html>"), openinference.ReasonRejected, "Unauthorized"},
		"broken":             {status(500, `{"error":"out of memory"}`), openinference.ReasonServer, "out of memory"},
		"gateway time-out":   {status(504, ""), openinference.ReasonTimeout, "504"},
		"unavailable":        {status(503, strings.Repeat("x", 1<<16)), openinference.ReasonServer, "503"},
		"no content":         {status(204, ""), openinference.ReasonServer, "204"},
		"huge":               {answer(head + strings.Repeat(" ", 1<<13)), openinference.ReasonTooLarge, "more than 4096 bytes"},
		"garbage":            {answer("<html>"), openinference.ReasonMalformed, "invalid character"},
		"empty":              {answer(""), openinference.ReasonMalformed, "unexpected end"},
		"error with success": {answer(`{"error":"no"}`), openinference.ReasonMalformed, `error "no"`},
		"no outputs":         {answer(head + `]}`), openinference.ReasonMalformed, "0 outputs"},
		"other model":        {answer(`{"model_name":"other","outputs":[{"name":"score","datatype":"FP32","shape":[2],"data":[1,2]}]}`), openinference.ReasonMalformed, `model "other"`},
		"other request":      {answer(`{"id":"9","model_name":"entity","outputs":[{"name":"score","datatype":"FP32","shape":[2],"data":[1,2]}]}`), openinference.ReasonMalformed, `request "9"`},
		"wrong name":         {answer(head + `{"name":"label","datatype":"FP32","shape":[2],"data":[1,2]}]}`), openinference.ReasonMalformed, `no output "score"`},
		"twice":              {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":[1,2]},{"name":"score","datatype":"FP32","shape":[2],"data":[1,2]}]}`), openinference.ReasonMalformed, "several outputs"},
		"wrong type":         {answer(head + `{"name":"score","datatype":"INT64","shape":[2],"data":[1,2]}]}`), openinference.ReasonMalformed, `type "INT64"`},
		"wrong batch":        {answer(head + `{"name":"score","datatype":"FP32","shape":[3],"data":[1,2,3]}]}`), openinference.ReasonMalformed, "shape [3]"},
		"two scores each":    {answer(head + `{"name":"score","datatype":"FP32","shape":[2,2],"data":[1,2,3,4]}]}`), openinference.ReasonMalformed, "shape [2 2]"},
		"transposed":         {answer(head + `{"name":"score","datatype":"FP32","shape":[1,2],"data":[1,2]}]}`), openinference.ReasonMalformed, "shape [1 2]"},
		"too few elements":   {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":[1.00]}]}`), openinference.ReasonMalformed, "1 elements"},
		"too many elements":  {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":[1,2,3]}]}`), openinference.ReasonMalformed, "more elements"},
		"endless shape":      {answer(head + `{"name":"score","datatype":"FP32","shape":[4611686018427387904,4],"data":[1]}]}`), openinference.ReasonMalformed, "cannot have"},
		"negative shape":     {answer(head + `{"name":"score","datatype":"FP32","shape":[-2],"data":[1,2]}]}`), openinference.ReasonMalformed, "cannot have"},
		"no data":            {answer(head + `{"name":"score","datatype":"FP32","shape":[2]}]}`), openinference.ReasonMalformed, "cannot have"},
		"a bare number":      {answer(head + `{"name":"score","datatype":"FP32","shape":[],"data":12}]}`), openinference.ReasonMalformed, "more elements"},
		"strings":            {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":["1","2"]}]}`), openinference.ReasonMalformed, "not a number"},
		"objects":            {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":[{"a":1}]}]}`), openinference.ReasonMalformed, "not an array"},
		"NaN":                {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":[NaN,1]}]}`), openinference.ReasonMalformed, "invalid character"},
		"null":               {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":[null,1]}]}`), openinference.ReasonNotFinite, "is null"},
		"infinite":           {answer(head + `{"name":"score","datatype":"FP64","shape":[2],"data":[1e999,1]}]}`), openinference.ReasonNotFinite, "out of range"},
		"infinite as FP32":   {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":[1e39,1]}]}`), openinference.ReasonNotFinite, "out of range"},
		"deeply nested":      {answer(head + `{"name":"score","datatype":"FP32","shape":[2],"data":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}]}`), openinference.ReasonMalformed, "deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, &openinferencetest.Server{Answer: tc.answer})
			scores, err := c.Score(t.Context(), [][]float64{{1, 2}, {3, 4}})
			require.ErrorContains(t, err, tc.text)
			assert.Equal(t, tc.reason, openinference.ReasonOf(err))
			assert.Nil(t, scores)
		})
	}
}

func TestNestedAndFurtherOutputs(t *testing.T) {
	c := serve(t, &openinferencetest.Server{Answer: answer(`{"model_name":"entity","model_version":"3","parameters":{"x":1},"outputs":[
		{"name":"label","datatype":"BYTES","shape":[2],"data":["a","b"]},
		{"name":"score","datatype":"FP32","shape":[2,1],"data":[[0.5],[2.5e-1]],"parameters":{}}]}`)})
	got, err := c.Score(t.Context(), [][]float64{{1}, {2}})
	require.NoError(t, err)
	assert.Equal(t, []float64{0.5, 0.25}, got)
}

func TestWrongRequests(t *testing.T) {
	server := &openinferencetest.Server{}
	c := serve(t, server, func(c *openinference.ClientConfig) { c.MaxRequestBytes = 200 })
	for name, tc := range map[string]struct {
		vectors [][]float64
		reason  openinference.Reason
	}{
		"none":             {nil, openinference.ReasonInvalidInput},
		"empty":            {[][]float64{{}}, openinference.ReasonInvalidInput},
		"ragged":           {[][]float64{{1}, {1, 2}}, openinference.ReasonInvalidInput},
		"not a number":     {[][]float64{{math.NaN()}}, openinference.ReasonInvalidInput},
		"infinite":         {[][]float64{{math.Inf(-1)}}, openinference.ReasonInvalidInput},
		"too big for FP32": {[][]float64{{1e39}}, openinference.ReasonInvalidInput},
		"too long":         {[][]float64{make([]float64, 100)}, openinference.ReasonTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Score(t.Context(), tc.vectors)
			require.Error(t, err)
			assert.Equal(t, tc.reason, openinference.ReasonOf(err))
		})
	}
	assert.Zero(t, server.Requests())
}

func TestTimeAndTransport(t *testing.T) {
	wait := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	trickle := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, `{"model_name":`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	for name, handler := range map[string]func(http.ResponseWriter, *http.Request){"no answer": wait, "half an answer": trickle} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, &openinferencetest.Server{Answer: handler})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := c.Score(ctx, [][]float64{{1}})
			assert.Equal(t, openinference.ReasonTimeout, openinference.ReasonOf(err))
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := serve(t, &openinferencetest.Server{Answer: func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}})
		_, err := c.Score(ctx, [][]float64{{1}})
		assert.Equal(t, openinference.ReasonStopped, openinference.ReasonOf(err))
	})
	t.Run("hung up", func(t *testing.T) {
		c := serve(t, &openinferencetest.Server{Answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }})
		_, err := c.Score(t.Context(), [][]float64{{1}})
		assert.Equal(t, openinference.ReasonTransport, openinference.ReasonOf(err))
	})
}

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		metadata string
		want     string
	}{
		"silent":        {`{"name":"entity"}`, ""},
		"other model":   {`{"name":"x"}`, `metadata are of model "x"`},
		"garbage":       {`[`, "decode metadata"},
		"no input":      {`{"name":"entity","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}]}`, `no input "input"`},
		"input's type":  {`{"name":"entity","inputs":[{"name":"input","datatype":"INT8","shape":[-1,2]}]}`, `type "INT8"`},
		"input's shape": {`{"name":"entity","inputs":[{"name":"input","datatype":"FP32","shape":[2]}]}`, "shape [2]"},
		"second input":  {`{"name":"entity","inputs":[{"name":"input","datatype":"FP32","shape":[-1,2]},{"name":"b"}]}`, "needs 2 inputs"},
		"no output":     {`{"name":"entity","outputs":[{"name":"x","datatype":"FP32"}]}`, `no output "score"`},
		"output's type": {`{"name":"entity","outputs":[{"name":"score","datatype":"BYTES"}]}`, `type "BYTES"`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/models/entity" {
					fmt.Fprint(w, tc.metadata)
				}
			}))
			defer server.Close()
			cfg := config(func(c *openinference.ClientConfig) { c.Endpoint = server.URL })
			c, err := openinference.NewClient(server.Client(), cfg)
			require.NoError(t, err)
			err = c.Check(t.Context())
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
	t.Run("not ready", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(status(503, "")))
		defer server.Close()
		c, err := openinference.NewClient(server.Client(), config(func(c *openinference.ClientConfig) { c.Endpoint = server.URL }))
		require.NoError(t, err)
		assert.Equal(t, openinference.ReasonServer, openinference.ReasonOf(c.Check(t.Context())))
	})
	t.Run("several outputs, none named", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(answer(`{"name":"entity","outputs":[{"name":"a"},{"name":"b"}]}`)))
		defer server.Close()
		c, err := openinference.NewClient(server.Client(), config(func(c *openinference.ClientConfig) { c.Endpoint, c.Output = server.URL, "" }))
		require.NoError(t, err)
		assert.ErrorContains(t, c.Check(t.Context()), "name the one with the scores")
	})
}

func TestNewClientRefuses(t *testing.T) {
	for name, change := range map[string]func(*openinference.ClientConfig){
		"no scheme": func(c *openinference.ClientConfig) { c.Endpoint = "localhost:8000" },
		"no URL":    func(c *openinference.ClientConfig) { c.Endpoint = "http://[" },
		"no model":  func(c *openinference.ClientConfig) { c.Model = "" },
		"no input":  func(c *openinference.ClientConfig) { c.Input = "" },
		"path":      func(c *openinference.ClientConfig) { c.Model = ".." },
		"type":      func(c *openinference.ClientConfig) { c.Datatype = "INT8" },
		"bound":     func(c *openinference.ClientConfig) { c.MaxResponseBytes = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(func(c *openinference.ClientConfig) { c.Endpoint = "http://localhost:8000" }, change)
			_, err := openinference.NewClient(http.DefaultClient, cfg)
			assert.Error(t, err)
		})
	}
}

func FuzzDecodeResponse(f *testing.F) {
	f.Add([]byte(`{"model_name":"entity","id":"1","outputs":[{"name":"score","datatype":"FP32","shape":[2,1],"data":[[0.5],[1]]}]}`))
	f.Add([]byte(`{"outputs":[{"datatype":"FP64","shape":[0],"data":[]},{"datatype":"BYTES","shape":[1],"data":["a"]}]}`))
	f.Add([]byte(`{"outputs":[{"datatype":"FP64","shape":[9223372036854775807,2],"data":[1e999]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := openinference.DecodeResponse(body)
		if err != nil {
			reason := openinference.ReasonOf(err)
			assert.True(t, reason == openinference.ReasonMalformed || reason == openinference.ReasonNotFinite)
			assert.Empty(t, r.Outputs)
			return
		}
		for _, out := range r.Outputs {
			if out.Datatype != openinference.FP32 && out.Datatype != openinference.FP64 {
				assert.Empty(t, out.Data)
				continue
			}
			n := int64(1)
			for _, d := range out.Shape {
				n *= d
			}
			assert.Len(t, out.Data, int(n))
			assert.LessOrEqual(t, len(out.Data), len(body))
			for _, v := range out.Data {
				assert.False(t, math.IsNaN(v) || math.IsInf(v, 0))
			}
		}
	})
}
