package tracegraphconnector

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/operation"
	"github.com/paramedic-otel/paramedic/internal/servicegraph"
)

// details are what a span's attributes say about the other side of a call and its success. Both the current names of the
// semantic conventions and those before them are read. The strings belong to the span.
type details struct {
	peerName, peerService, address, netPeer, host, networkPeer, sockPeer string
	dbSystem, dbName                                                     string
	msgSystem, destination, template, operation                          string
	httpStatus                                                           int64
	rpcStatus                                                            int64
	rpcStatusName, errorType                                             string
	// op names the operation, but for what is also read for other purposes.
	op operation.Fields
}

// read reads the attributes of a span. Values are looked at only where the key is of interest: they are elsewhere in memory.
// The other side of a server's span has no name worth having.
func (d *details) read(attrs pcommon.Map, kind servicegraph.Kind) {
	server := kind == servicegraph.KindServer
	for k, v := range attrs.All() {
		id := attributeOf(k)
		if id == attrNone || server && id >= firstOfCallers {
			continue
		}
		switch v.Type() {
		case pcommon.ValueTypeStr:
			if text := d.text(id); text != nil {
				*text = v.Str()
			}
		case pcommon.ValueTypeInt:
			switch id {
			case attrHTTPStatus:
				d.httpStatus = v.Int()
			case attrRPCStatus:
				d.rpcStatus = v.Int()
			}
		default:
		}
	}
}

// text returns where the text of an attribute belongs.
func (d *details) text(id spanAttribute) *string {
	switch id {
	case attrRPCStatusName:
		return &d.rpcStatusName
	case attrErrorType:
		return &d.errorType
	case attrRPCService:
		return &d.op.RPCService
	case attrRPCMethod:
		return &d.op.RPCMethod
	case attrHTTPMethod:
		return &d.op.HTTPMethod
	case attrHTTPRoute:
		return &d.op.HTTPRoute
	case attrMessagingSystem:
		return &d.msgSystem
	case attrDestination:
		return &d.destination
	case attrTemplate:
		return &d.template
	case attrMessagingType:
		return &d.operation
	case attrMessagingName:
		return &d.op.MessagingOperation
	case attrPeerName:
		return &d.peerName
	case attrPeerService:
		return &d.peerService
	case attrAddress:
		return &d.address
	case attrNetPeer:
		return &d.netPeer
	case attrHost:
		return &d.host
	case attrNetworkPeer:
		return &d.networkPeer
	case attrSockPeer:
		return &d.sockPeer
	case attrDBSystem:
		return &d.dbSystem
	case attrDBName:
		return &d.dbName
	case attrDBOperation:
		return &d.op.DBOperation
	case attrDBCollection:
		return &d.op.DBCollection
	case attrDBSummary:
		return &d.op.DBSummary
	default:
		return nil
	}
}

// complete makes what was read for other purposes part of the operation.
func (d *details) complete(name string, kind servicegraph.Kind) {
	d.op.Name = name
	d.op.Messaging = d.msgSystem != "" || d.destination != ""
	if d.operation != "" {
		d.op.MessagingOperation = d.operation
	}
	d.op.Destination = firstOf(d.template, d.destination)
	d.op.Database = kind == servicegraph.KindClient && (d.dbSystem != "" || d.dbName != "")
}

// failed says whether the protocol's status is one for which the conventions make a server's span an error.
func (d *details) failed() bool {
	if d.httpStatus >= 500 {
		return true
	}
	switch d.rpcStatus {
	case 2, 4, 12, 13, 14, 15:
		return true
	}
	switch d.rpcStatusName {
	case "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS":
		return true
	}
	return false
}
