package tracegraphconnector

// spanAttribute is one that is read from spans.
type spanAttribute uint8

const (
	attrNone spanAttribute = iota
	attrHTTPStatus
	attrRPCStatus
	attrRPCStatusName
	attrErrorType
	attrRPCService
	attrRPCMethod
	attrHTTPMethod
	attrHTTPRoute
	attrMessagingSystem
	attrDestination
	attrTemplate
	attrMessagingType
	attrMessagingName
	attrPeerName
	attrPeerService
	attrAddress
	attrNetPeer
	attrHost
	attrNetworkPeer
	attrSockPeer
	attrDBSystem
	attrDBName
	attrDBOperation
	attrDBCollection
	attrDBSummary

	// firstOfCallers is the first of those that say something of the other side of a call: of no use on a server's span.
	firstOfCallers = attrPeerName
)

// attributeNames are the keys of the attributes in the semantic conventions of today and of before.
var attributeNames = []struct {
	key string
	id  spanAttribute
}{
	{"", attrNone},
	{"http.response.status_code", attrHTTPStatus},
	{"http.status_code", attrHTTPStatus},
	{"rpc.grpc.status_code", attrRPCStatus},
	{"rpc.response.status_code", attrRPCStatusName},
	{"error.type", attrErrorType},
	{"rpc.service", attrRPCService},
	{"rpc.method", attrRPCMethod},
	{"http.request.method", attrHTTPMethod},
	{"http.method", attrHTTPMethod},
	{"http.route", attrHTTPRoute},
	{"url.template", attrHTTPRoute},
	{"messaging.system", attrMessagingSystem},
	{"messaging.destination.name", attrDestination},
	{"messaging.destination", attrDestination},
	{"messaging.destination.template", attrTemplate},
	{"messaging.operation.type", attrMessagingType},
	{"messaging.operation", attrMessagingType},
	{"messaging.operation.name", attrMessagingName},
	{"service.peer.name", attrPeerName},
	{"peer.service", attrPeerService},
	{"server.address", attrAddress},
	{"net.peer.name", attrNetPeer},
	{"http.host", attrHost},
	{"network.peer.address", attrNetworkPeer},
	{"net.sock.peer.addr", attrSockPeer},
	{"db.system.name", attrDBSystem},
	{"db.system", attrDBSystem},
	{"db.namespace", attrDBName},
	{"db.name", attrDBName},
	{"db.operation.name", attrDBOperation},
	{"db.operation", attrDBOperation},
	{"db.collection.name", attrDBCollection},
	{"db.sql.table", attrDBCollection},
	{"db.mongodb.collection", attrDBCollection},
	{"db.query.summary", attrDBSummary},
}

// attributeTable leads from a hash of a key to its place in attributeNames, 0 where there is none. No two keys share a hash
// with attributeFactor.
var attributeTable, attributeFactor = makeAttributeTable()

const attributeBits = 9

func makeAttributeTable() (table [1 << attributeBits]uint8, factor uint32) {
	for factor = 0x9e3779b1; ; factor += 2 {
		table = [1 << attributeBits]uint8{}
		free := true
		for i, a := range attributeNames[1:] {
			at := &table[attributeHash(a.key, factor)]
			if free = free && *at == 0; !free {
				break
			}
			*at = uint8(i + 1)
		}
		if free {
			return table, factor
		}
	}
}

// attributeHash is of the length of a key of two bytes or more, its first byte and its last but one, by which the names differ.
func attributeHash(key string, factor uint32) uint32 {
	n := len(key)
	return (uint32(n) | uint32(key[0])<<8 | uint32(key[n-2])<<16) * factor >> (32 - attributeBits)
}

// attributeOf returns the attribute of a key, attrNone for all that are not read.
func attributeOf(key string) spanAttribute {
	if len(key) < 2 {
		return attrNone
	}
	if a := &attributeNames[attributeTable[attributeHash(key, attributeFactor)]]; a.key == key {
		return a.id
	}
	return attrNone
}
