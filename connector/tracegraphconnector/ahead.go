package tracegraphconnector

import (
	"unsafe"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/prefetch"
)

// Spans are spread over memory, in batches that are larger than the caches, so those that come next are asked for while one is
// read: first the span and then, once it is there, its attributes.
const (
	farAhead, nearAhead = 4, 2
	// spanLines and attributeLines are about as many lines as a span and its attributes have.
	spanLines, attributeLines = 4, 4
)

// askForSpan has a span on its way into the caches. What stands for it begins with its address; if that should change, nothing
// comes of it but a useless hint.
func askForSpan(span ptrace.Span) {
	prefetch.Lines(*(*unsafe.Pointer)(unsafe.Pointer(&span)), spanLines)
}

// askForAttributes has the attributes of a span on their way into the caches.
func askForAttributes(span ptrace.Span) {
	for _, v := range span.Attributes().All() {
		askForValues(v)
		break
	}
}

// askForValues has a value and its neighbours on their way into the caches. It, too, begins with an address.
func askForValues(v pcommon.Value) {
	prefetch.Lines(*(*unsafe.Pointer)(unsafe.Pointer(&v)), attributeLines)
}
