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

	numAttributes
	// lastOfServers is the last of those that are of use on a server's span: the others name the other side of a call.
	lastOfServers = attrMessagingName
)

// attributeSet is a set of attributes.
type attributeSet uint32

func setOf(ids ...spanAttribute) (s attributeSet) {
	for _, id := range ids {
		s |= 1 << id
	}
	return s
}

var (
	// messagingAttributes say that a span is about messages, databaseAttributes that a client's is about a database.
	messagingAttributes = setOf(attrMessagingSystem, attrDestination)
	databaseAttributes  = setOf(attrDBSystem, attrDBName)
	// peerAttributes name the other side of a call, the first of them before the others, as their order here has it.
	peerAttributes = setOf(attrPeerName, attrPeerService, attrAddress, attrNetPeer, attrHost, attrNetworkPeer, attrSockPeer)
	// hostAttributes are those of them that name a database's host.
	hostAttributes = setOf(attrPeerName, attrPeerService, attrAddress, attrNetPeer)
	// namingAttributes make the operation something else than an HTTP request or what the span's name says.
	namingAttributes = setOf(attrRPCMethod) | messagingAttributes | databaseAttributes
)

// attributeNames are the keys of the attributes in the semantic conventions of today and of before.
var attributeNames = []attributeEntry{
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

// attributeTable finds attributes by their keys. It looks at as little of a key as it can, which is elsewhere in memory.
type attributeTable struct {
	// lengths has a bit for the length of each key.
	lengths uint64
	// factor makes the hashes of all keys different.
	factor uint32
	// entries are the attributes, the first none, and places leads from a hash of a key to its place there.
	entries [maxAttributeNames]attributeEntry
	places  [1 << attributeBits]uint8
}

// attributeEntry is an attribute with its key.
type attributeEntry struct {
	key string
	id  spanAttribute
}

const (
	attributeBits     = 9
	maxAttributeNames = 64
)

// ofAll has all attributes, ofServers those that are of use on a server's span.
var ofAll, ofServers = makeAttributeTable(numAttributes - 1), makeAttributeTable(lastOfServers)

// makeAttributeTable returns a table of the attributes up to the given one.
func makeAttributeTable(last spanAttribute) *attributeTable {
	t := &attributeTable{factor: findAttributeFactor()}
	for i, a := range attributeNames {
		if a.id == attrNone || a.id > last {
			continue
		}
		t.lengths |= 1 << len(a.key)
		t.places[attributeHash(a.key, t.factor)] = uint8(i)
		t.entries[i] = a
	}
	return t
}

// findAttributeFactor returns a factor with which no two keys share a hash.
func findAttributeFactor() uint32 {
	for factor := uint32(0x9e3779b1); ; factor += 2 {
		seen, free := [1 << attributeBits]bool{}, true
		for _, a := range attributeNames[1:] {
			at := &seen[attributeHash(a.key, factor)]
			free = free && !*at
			*at = true
		}
		if free {
			return factor
		}
	}
}

// attributeHash is of the length of a key of two bytes or more, its first byte and its last but one, by which the names differ.
func attributeHash(key string, factor uint32) uint32 {
	n := len(key)
	return (uint32(n) | uint32(key[0])<<8 | uint32(key[n-2])<<16) * factor >> (32 - attributeBits)
}

// find returns the attribute of a key, attrNone for all that are not in the table.
func (t *attributeTable) find(key string) spanAttribute {
	if t.lengths>>len(key)&1 == 0 {
		return attrNone
	}
	if e := &t.entries[t.places[attributeHash(key, t.factor)]%maxAttributeNames]; e.key == key {
		return e.id
	}
	return attrNone
}
