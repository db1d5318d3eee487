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

func (d *details) read(attrs pcommon.Map) {
	for k, v := range attrs.All() {
		switch v.Type() {
		case pcommon.ValueTypeStr:
			d.text(k, v.Str())
		case pcommon.ValueTypeInt:
			switch k {
			case "http.response.status_code", "http.status_code":
				d.httpStatus = v.Int()
			case "rpc.grpc.status_code":
				d.rpcStatus = v.Int()
			}
		default:
		}
	}
}

func (d *details) text(key, value string) {
	switch key {
	case "service.peer.name":
		d.peerName = value
	case "peer.service":
		d.peerService = value
	case "server.address":
		d.address = value
	case "net.peer.name":
		d.netPeer = value
	case "http.host":
		d.host = value
	case "network.peer.address":
		d.networkPeer = value
	case "net.sock.peer.addr":
		d.sockPeer = value
	case "db.system.name", "db.system":
		d.dbSystem = value
	case "db.namespace", "db.name":
		d.dbName = value
	case "messaging.system":
		d.msgSystem = value
	case "messaging.destination.name", "messaging.destination":
		d.destination = value
	case "messaging.destination.template":
		d.template = value
	case "messaging.operation.type", "messaging.operation":
		d.operation = value
	case "rpc.response.status_code":
		d.rpcStatusName = value
	case "error.type":
		d.errorType = value
	case "rpc.service":
		d.op.RPCService = value
	case "rpc.method":
		d.op.RPCMethod = value
	case "http.request.method", "http.method":
		d.op.HTTPMethod = value
	case "http.route", "url.template":
		d.op.HTTPRoute = value
	case "messaging.operation.name":
		d.op.MessagingOperation = value
	case "db.operation.name", "db.operation":
		d.op.DBOperation = value
	case "db.collection.name", "db.sql.table", "db.mongodb.collection":
		d.op.DBCollection = value
	case "db.query.summary":
		d.op.DBSummary = value
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
