package openinference

import (
	"context"
	"errors"
	"fmt"
)

// Reason says why no score came back: a small, fixed set, fit for a metric's attribute.
type Reason string

// The reasons.
const (
	// ReasonBreakerOpen: the breaker is open, the server was not asked.
	ReasonBreakerOpen Reason = "breaker_open"
	// ReasonExpired: the vector had waited longer than allowed before its turn came.
	ReasonExpired Reason = "expired"
	// ReasonInvalidInput: the vector is empty, has a value that is not finite, or does not fit into the request.
	ReasonInvalidInput Reason = "invalid_input"
	// ReasonMalformed: the answer is not what the protocol says, or not for what was asked.
	ReasonMalformed Reason = "malformed"
	// ReasonNotFinite: the answer holds a score that is not a finite number.
	ReasonNotFinite Reason = "not_finite"
	// ReasonQueueFull: too many vectors wait already.
	ReasonQueueFull Reason = "queue_full"
	// ReasonRejected: the server refused what was asked (status 4xx but 408 and 429).
	ReasonRejected Reason = "rejected"
	// ReasonServer: the server failed (5xx, or a status that the protocol does not know).
	ReasonServer Reason = "server_error"
	// ReasonStopped: the scorer was closed.
	ReasonStopped Reason = "stopped"
	// ReasonThrottled: the server asked for patience (status 429).
	ReasonThrottled Reason = "throttled"
	// ReasonTimeout: no answer in time.
	ReasonTimeout Reason = "timeout"
	// ReasonTooLarge: the request or the answer is larger than allowed.
	ReasonTooLarge Reason = "too_large"
	// ReasonTransport: no answer at all: no connection, TLS, a broken stream.
	ReasonTransport Reason = "transport"
)

// Reasons lists all reasons in alphabetical order.
func Reasons() []Reason {
	return []Reason{
		ReasonBreakerOpen, ReasonExpired, ReasonInvalidInput, ReasonMalformed, ReasonNotFinite, ReasonQueueFull, ReasonRejected,
		ReasonServer, ReasonStopped, ReasonThrottled, ReasonTimeout, ReasonTooLarge, ReasonTransport,
	}
}

// Error is a failure with its reason.
type Error struct {
	Reason Reason
	// Status is the HTTP status, 0 when there was none.
	Status int
	err    error
}

// Error implements error: the reason, the status if there was one, and the cause.
func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s: status %d: %v", e.Reason, e.Status, e.err)
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// ReasonOf returns the reason of an error of this package or of an ended context; any other error is ReasonTransport.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	switch {
	case errors.Is(err, context.Canceled):
		return ReasonStopped
	case errors.Is(err, context.DeadlineExceeded):
		return ReasonTimeout
	default:
		return ReasonTransport
	}
}

func fail(r Reason, format string, args ...any) error {
	return &Error{Reason: r, err: fmt.Errorf(format, args...)}
}

// interrupted gives a transport error the reason that its context has.
func interrupted(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Reason: ReasonStopped, err: err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Reason: ReasonTimeout, err: err}
	default:
		return &Error{Reason: ReasonTransport, err: err}
	}
}
