package shop

// failure is why an operation or a call failed.
type failure struct {
	errType string // error.type and exception.type
	message string
	status  int    // HTTP status that the caller sees; 0 when there was no answer
	rpc     string // gRPC status likewise
	retry   bool   // whether callers try again
}

var (
	failInternal = &failure{
		"InternalError", "unexpected end of stream while reading request body", 500, "INTERNAL", false,
	}
	failRefused = &failure{"ConnectionRefusedError", "connect ECONNREFUSED: no healthy endpoint", 0, "", true}
	failTimeout = &failure{"TimeoutError", "deadline exceeded while waiting for the response", 0, "", false}
	failFull    = &failure{"QueueFullError", "request queue is full, request refused", 503, "RESOURCE_EXHAUSTED", true}
	failShed    = &failure{"LoadShedError", "request shed by admission control", 503, "RESOURCE_EXHAUSTED", false}

	failUpstream        = &failure{"UpstreamError", "upstream call failed", 502, "UNAVAILABLE", false}
	failUpstreamTimeout = &failure{"UpstreamTimeoutError", "upstream call timed out", 504, "DEADLINE_EXCEEDED", false}

	failLock = &failure{
		"LockNotAvailable", "canceling statement due to lock timeout (SQLSTATE 55P03)", 0, "", false,
	}
	failCredentials = &failure{
		"CredentialsExpiredError", "request rejected by the remote side: client certificate expired", 500, "INTERNAL", false,
	}
	failRelease = &failure{
		"NullReferenceError", "cannot read attribute 'price_tiers' of null", 500, "INTERNAL", false,
	}
	failQuery = &failure{"ServerError", "could not read block: unexpected data beyond EOF", 0, "", true}
)

// upstream is what the caller of something that failed in this way fails with itself.
func (f *failure) upstream() *failure {
	if f == failTimeout || f == failUpstreamTimeout {
		return failUpstreamTimeout
	}
	return failUpstream
}
