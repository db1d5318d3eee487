package anomalyprocessor

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/internal/openinference"
)

// RemoteModel is a model server that speaks the Open Inference Protocol, version 2, over HTTP.
type RemoteModel struct {
	// ClientConfig says how the server is reached. Timeout bounds the wait in the queue, and a request.
	confighttp.ClientConfig `mapstructure:",squash"`
	// Model is the name of the model; Version may be empty.
	Model   string `mapstructure:"model"`
	Version string `mapstructure:"version"`
	// Input is the tensor that takes vectors, Output the one that returns a score for each; empty is the only one.
	Input  string `mapstructure:"input"`
	Output string `mapstructure:"output"`
	// Datatype is the type of Input.
	Datatype openinference.Datatype `mapstructure:"datatype"`
	// MaxBatch, MaxInFlight and MaxQueued bound the vectors of a request, the requests at a time, and the vectors waiting.
	MaxBatch    int `mapstructure:"max_batch"`
	MaxInFlight int `mapstructure:"max_in_flight"`
	MaxQueued   int `mapstructure:"max_queued"`
	// MaxRequestBytes and MaxResponseBytes bound the bodies.
	MaxRequestBytes  int64 `mapstructure:"max_request_bytes"`
	MaxResponseBytes int64 `mapstructure:"max_response_bytes"`
	// Breaker says when the server is left alone.
	Breaker Breaker `mapstructure:"breaker"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Breaker says when a server that fails is left alone, and for how long.
type Breaker struct {
	// Failures is how many requests in a row must fail.
	Failures int `mapstructure:"failures"`
	// Pause is the time until one request tries again.
	Pause time.Duration `mapstructure:"pause"`

	// prevent unkeyed literal initialization
	_ struct{}
}

func defaultRemote() configoptional.Optional[RemoteModel] {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 2 * time.Second
	return configoptional.Default(RemoteModel{
		ClientConfig: client, Input: "input", Datatype: openinference.FP32, MaxBatch: 64, MaxInFlight: 2, MaxQueued: 1024,
		MaxRequestBytes: 1 << 20, MaxResponseBytes: 1 << 20, Breaker: Breaker{Failures: 5, Pause: 30 * time.Second},
	})
}

// client is what the protocol needs to know.
func (c *RemoteModel) client() openinference.ClientConfig {
	return openinference.ClientConfig{
		Endpoint: c.Endpoint, Model: c.Model, Version: c.Version, Input: c.Input, Output: c.Output, Datatype: c.Datatype,
		MaxRequestBytes: c.MaxRequestBytes, MaxResponseBytes: c.MaxResponseBytes,
	}
}

// Validate implements xconfmap.Validator.
func (c *RemoteModel) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := openinference.NewClient(nil, c.client()); err != nil {
		errs = append(errs, err)
	}
	if c.Timeout <= 0 || c.Timeout > time.Minute {
		fail("timeout must be greater than 0 and at most 1m, got %s", c.Timeout)
	}
	for _, bound := range []struct {
		name  string
		value int
		most  int
	}{
		{"max_batch", c.MaxBatch, 4096},
		{"max_in_flight", c.MaxInFlight, 64},
		{"max_queued", c.MaxQueued, 100_000},
		{"breaker::failures", c.Breaker.Failures, 1000},
	} {
		if bound.value < 1 || bound.value > bound.most {
			fail("%s must be between 1 and %d, got %d", bound.name, bound.most, bound.value)
		}
	}
	if c.Breaker.Pause < time.Second {
		fail("breaker::pause must be at least 1s, got %s", c.Breaker.Pause)
	}
	return errors.Join(errs...)
}
