package tracegraphconnector

import (
	"math/bits"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/operation"
	"github.com/paramedic-otel/paramedic/internal/servicegraph"
)

// details are what a span's attributes say about the other side of a call, its success and its operation. Both the current names
// of the semantic conventions and those before them are read. The values belong to the span; they are looked at only when
// somebody asks for them, since they are elsewhere in memory.
type details struct {
	// seen are the attributes that are there. The values of others are those of another span.
	seen   attributeSet
	values [numAttributes]pcommon.Value
}

// read finds the attributes of a span. The other side of a server's span has no name worth having.
func (d *details) read(attrs pcommon.Map, kind servicegraph.Kind) {
	table := ofAll
	if kind == servicegraph.KindServer {
		table = ofServers
	}
	seen := attributeSet(0)
	for k, v := range attrs.All() {
		if id := table.find(k); id != attrNone {
			d.values[id] = v
			seen |= 1 << id
		}
	}
	d.seen = seen
}

// text returns the text of an attribute, empty for anything else.
func (d *details) text(id spanAttribute) string {
	if d.seen>>id&1 == 0 {
		return ""
	}
	return d.values[id].Str()
}

// number returns the number of an attribute, 0 for anything else.
func (d *details) number(id spanAttribute) int64 {
	if d.seen>>id&1 == 0 {
		return 0
	}
	return d.values[id].Int()
}

// first returns the first text of a set of attributes that is not empty.
func (d *details) first(of attributeSet) string {
	for of &= d.seen; of != 0; of &= of - 1 {
		if text := d.values[bits.TrailingZeros32(uint32(of))%int(numAttributes)].Str(); text != "" {
			return text
		}
	}
	return ""
}

// any says whether any of a set of attributes has a text.
func (d *details) any(of attributeSet) bool { return d.seen&of != 0 && d.first(of) != "" }

// place returns where messages go or come from, better a template of that.
func (d *details) place() string { return firstOf(d.text(attrTemplate), d.text(attrDestination)) }

// fields are what names the operation.
func (d *details) fields(name string, kind servicegraph.Kind) operation.Fields {
	return operation.Fields{
		Name:       name,
		RPCService: d.text(attrRPCService), RPCMethod: d.text(attrRPCMethod),
		HTTPMethod: d.text(attrHTTPMethod), HTTPRoute: d.text(attrHTTPRoute),
		Messaging:          d.any(messagingAttributes),
		MessagingOperation: firstOf(d.text(attrMessagingType), d.text(attrMessagingName)),
		Destination:        d.place(),
		Database:           kind == servicegraph.KindClient && d.any(databaseAttributes),
		DBOperation:        d.text(attrDBOperation), DBCollection: d.text(attrDBCollection), DBSummary: d.text(attrDBSummary),
	}
}

// failed says whether the protocol's status is one for which the conventions make a server's span an error.
func (d *details) failed() bool {
	if d.number(attrHTTPStatus) >= 500 {
		return true
	}
	if d.seen&(1<<attrRPCStatus|1<<attrRPCStatusName) == 0 {
		return false
	}
	switch d.number(attrRPCStatus) {
	case 2, 4, 12, 13, 14, 15:
		return true
	}
	switch d.text(attrRPCStatusName) {
	case "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS":
		return true
	}
	return false
}
