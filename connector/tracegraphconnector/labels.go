package tracegraphconnector

import (
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/operation"
	"github.com/paramedic-otel/paramedic/internal/servicegraph"
	"github.com/paramedic-otel/paramedic/semconv"
)

// labelCache remembers the numbers of strings, so that most spans need not ask the table that all share.
type labelCache struct {
	table *servicegraph.Labels
	epoch uint32
	cells []labelCell
}

type labelCell struct {
	value string
	id    servicegraph.LabelID
}

// newLabelCache returns a cache of the given size, a power of two.
func newLabelCache(table *servicegraph.Labels, size int) labelCache {
	return labelCache{table: table, epoch: table.Epoch(), cells: make([]labelCell, size)}
}

// begin is to be called before the strings of a batch: numbers of an earlier epoch may stand for other strings by now.
func (c *labelCache) begin() {
	if epoch := c.table.Epoch(); epoch != c.epoch {
		clear(c.cells)
		c.epoch = epoch
	}
}

func (c *labelCache) id(value []byte) servicegraph.LabelID {
	if len(value) == 0 {
		return 0
	}
	cell := &c.cells[cellOf(value)&uint64(len(c.cells)-1)]
	if cell.value == string(value) {
		return cell.id
	}
	id, kept := c.table.ID(value)
	if id != servicegraph.LabelOther {
		cell.value, cell.id = kept, id
	}
	return id
}

// known returns the number of a string if the cache has it.
func (c *labelCache) known(value string) (servicegraph.LabelID, bool) {
	cell := &c.cells[cellOf(value)&uint64(len(c.cells)-1)]
	return cell.id, value != "" && cell.value == value
}

// cellOf hashes a string by its length and its first, last and middle eight bytes. Whoever makes strings fall into one cell
// only costs time, and not much.
func cellOf[T ~string | ~[]byte](value T) uint64 {
	const odd = 0x9e3779b97f4a7c15
	n := len(value)
	h := uint64(n)
	switch {
	case n >= 16:
		h = ((h^word(value))*odd ^ word(value[n/2-4:])) * odd
		h ^= h>>32 ^ word(value[n-8:])
	case n >= 8:
		h = (h ^ word(value)) * odd
		h ^= h>>32 ^ word(value[n-8:])
	default:
		for i := range n {
			h = h<<8 ^ h>>56 ^ uint64(value[i])
		}
	}
	return h * odd >> 32
}

// joinedCell is an operation whose name is joined of two parts, a method and a route.
type joinedCell struct {
	method, route string
	id            servicegraph.LabelID
}

const joinedCells = 256

func word[T ~string | ~[]byte](b T) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// labeller gives spans the strings that series are told apart by. It is not safe for concurrent use.
type labeller struct {
	// dimensions are the names of the configured dimensions.
	dimensions []string
	// maxLength bounds their values.
	maxLength  int
	operations bool

	sets, names, versions, failures labelCache
	joined                          []joinedCell
	buf                             []byte
}

func newLabeller(cfg *Config, graph *servicegraph.Graph) labeller {
	return labeller{
		dimensions: cfg.Dimensions, maxLength: cfg.MaxNameLength, operations: cfg.Operations.Enabled,
		sets: newLabelCache(graph.Dimensions, 256), names: newLabelCache(graph.Operations, 1024),
		versions: newLabelCache(graph.Versions, 64), failures: newLabelCache(graph.Failures, 64),
		joined: make([]joinedCell, joinedCells),
	}
}

func (l *labeller) begin() {
	if l.names.epoch != l.names.table.Epoch() {
		clear(l.joined)
	}
	for _, c := range []*labelCache{&l.sets, &l.names, &l.versions, &l.failures} {
		c.begin()
	}
}

// version returns the number of a service's version.
func (l *labeller) version(version string) uint16 {
	if !l.operations || version == "" {
		return 0
	}
	l.buf = append(l.buf[:0], version...)
	return uint16(l.versions.id(l.buf))
}

// label adds to a span what its series are told apart by.
func (l *labeller) label(s *servicegraph.Span, from *origin, span ptrace.Span, d *details) {
	if len(l.dimensions) > 0 {
		s.Dimensions = l.set(from.attributes, span.Attributes())
	}
	if !l.operations {
		return
	}
	s.Version = from.version
	if d.seen&namingAttributes != 0 {
		f := d.fields(span.Name(), s.Kind)
		s.Operation = uint16(l.operation(&f))
	} else {
		s.Operation = uint16(l.request(span.Name(), d))
	}
	if s.Flags&servicegraph.FlagFailed != 0 {
		s.Failure = uint8(l.failure(d))
	}
}

// operation returns the number of an operation's name.
func (l *labeller) operation(f *operation.Fields) servicegraph.LabelID {
	l.buf = operation.Append(l.buf[:0], f)
	return l.names.id(l.buf)
}

// request is operation for a span that has none of the namingAttributes.
func (l *labeller) request(name string, d *details) servicegraph.LabelID {
	route := d.text(attrHTTPRoute)
	if route == "" {
		// The name of an operation that is a span's name needs no second look.
		if id, ok := l.names.known(name); ok {
			return id
		}
		return l.operation(&operation.Fields{Name: name})
	}
	method := d.text(attrHTTPMethod)
	cell := &l.joined[(cellOf(route)+uint64(len(method)))%joinedCells]
	if cell.route == route && cell.method == method {
		return cell.id
	}
	id := l.operation(&operation.Fields{Name: name, HTTPMethod: method, HTTPRoute: route})
	if id > servicegraph.LabelOther && len(method)+len(route) <= l.maxLength {
		*cell = joinedCell{method: strings.Clone(method), route: strings.Clone(route), id: id}
	}
	return id
}

// set returns the number of the values of the dimensions; a resource's come before a span's. A set that finds no room is none:
// its series have the same attributes as those of spans without any of the dimensions, and so must be the same series.
func (l *labeller) set(resource, span pcommon.Map) servicegraph.LabelID {
	l.buf = l.buf[:0]
	for i, name := range l.dimensions {
		v, ok := resource.Get(name)
		if !ok {
			if v, ok = span.Get(name); !ok {
				continue
			}
		}
		l.buf = servicegraph.AppendDimension(l.buf, i, v.AsString(), l.maxLength)
	}
	if id := l.sets.id(l.buf); id != servicegraph.LabelOther {
		return id
	}
	return 0
}

// failure returns the number of the kind of failure of a failed span.
func (l *labeller) failure(d *details) servicegraph.LabelID {
	errorType, statusName := d.text(attrErrorType), d.text(attrRPCStatusName)
	httpStatus, rpcStatus := d.number(attrHTTPStatus), d.number(attrRPCStatus)
	l.buf = l.buf[:0]
	switch {
	case errorType != "":
		l.buf = operation.AppendNormal(l.buf, errorType)
	case httpStatus >= 400 && httpStatus < 600:
		l.buf = strconv.AppendInt(l.buf, httpStatus, 10)
	case statusName != "" && statusName != "OK":
		l.buf = operation.AppendNormal(l.buf, statusName)
	case rpcStatus > 0 && rpcStatus < int64(len(rpcStatusNames)):
		l.buf = append(l.buf, rpcStatusNames[rpcStatus]...)
	}
	if len(l.buf) == 0 {
		return servicegraph.LabelOther
	}
	return l.failures.id(l.buf)
}

// rpcStatusNames are the status codes of gRPC.
var rpcStatusNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

// origin is where spans come from: what all spans of a resource have in common.
type origin struct {
	service    servicegraph.NodeID
	version    uint16
	attributes pcommon.Map
}

func (t *translator) origin(attrs pcommon.Map) origin {
	name, namespace, version := unknownService, "", ""
	for k, v := range attrs.All() {
		if v.Type() != pcommon.ValueTypeStr {
			continue
		}
		switch k {
		case semconv.AttrServiceName:
			if v.Str() != "" {
				name = v.Str()
			}
		case semconv.AttrServiceNamespace:
			namespace = v.Str()
		case semconv.AttrServiceVersion:
			version = v.Str()
		}
	}
	return origin{service: t.graph.Service(namespace, name), version: t.labels.version(version), attributes: attrs}
}
