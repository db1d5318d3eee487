package shop

// failure is why an operation or a call failed.
type failure struct {
	errType string // error.type and exception.type
	message string
	status  int    // HTTP status that the caller sees; 0 when there was no answer
	rpc     string // gRPC status likewise
	retry   bool   // whether callers try again
	asked   bool   // whether the caller was only asked to come back later, which is no error of the server
}

var (
	failInternal = &failure{
		"InternalError", "unexpected end of stream while reading request body", 500, "INTERNAL", false, false,
	}
	failRefused = &failure{"ConnectionRefusedError", "connect ECONNREFUSED: no healthy endpoint", 0, "", true, false}
	failTimeout = &failure{"TimeoutError", "deadline exceeded while waiting for the response", 0, "", false, false}
	failFull    = &failure{"QueueFullError", "request queue is full, request refused", 503, "RESOURCE_EXHAUSTED", true, false}
	failShed    = &failure{"LoadShedError", "request shed by admission control", 503, "RESOURCE_EXHAUSTED", false, false}

	failAdmission = &failure{"", "too many requests, come back later", 429, "RESOURCE_EXHAUSTED", false, true}

	failUpstream        = &failure{"UpstreamError", "upstream call failed", 502, "UNAVAILABLE", false, false}
	failUpstreamTimeout = &failure{"UpstreamTimeoutError", "upstream call timed out", 504, "DEADLINE_EXCEEDED", false, false}

	failLock = &failure{
		"LockNotAvailable", "canceling statement due to lock timeout (SQLSTATE 55P03)", 0, "", false, false,
	}
	failCredentials = &failure{
		"CredentialsExpiredError", "request rejected by the remote side: client certificate expired", 500, "INTERNAL", false, false,
	}
	failRelease = &failure{
		"NullReferenceError", "cannot read attribute 'price_tiers' of null", 500, "INTERNAL", false, false,
	}
	failWorker = &failure{
		"WorkerStarvationError", "no worker thread became free in time", 500, "INTERNAL", false, false,
	}
	failQuery = &failure{"ServerError", "could not read block: unexpected data beyond EOF", 0, "", true, false}
)

// upstream is what the caller of something that failed in this way fails with itself.
func (f *failure) upstream() *failure {
	if f == failTimeout || f == failUpstreamTimeout {
		return failUpstreamTimeout
	}
	return failUpstream
}
