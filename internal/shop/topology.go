package shop

import (
	"strings"
	"time"
)

// The services, by their index in [specs].
const (
	frontend = iota
	gateway
	catalogue
	cart
	checkout
	inventory
	payment
	shipping
	recommendation
	search
	user
	notification
	analytics
	ordersDB
	cache
	serviceCount
)

// protocol is how a service is talked to.
type protocol uint8

const (
	protoHTTP protocol = iota
	protoGRPC
	protoKafka
	protoPostgres
	protoRedis
)

// serviceSpec is what does not change about a service.
type serviceSpec struct {
	name        string
	tier        string
	criticality string
	protocol    protocol
	replicas    int
	version     string
	previous    string
	cpuLimit    float64 // cores a pod
	memLimit    float64 // bytes a pod
	memBase     float64 // share of memLimit used at rest
	load        float64 // utilisation at the mean load, for which the service is sized
}

// store reports whether the service is a data store: it serves queries and sends no spans of its own.
func (s *serviceSpec) store() bool { return s.protocol == protoPostgres || s.protocol == protoRedis }

const gib = 1 << 30

var specs = [serviceCount]serviceSpec{
	frontend:       {"frontend", "edge", "critical", protoHTTP, 3, "3.8.1", "3.8.0", 1, 0.5 * gib, 0.38, 0.33},
	gateway:        {"gateway", "edge", "critical", protoHTTP, 3, "2.14.0", "2.13.4", 1, 0.5 * gib, 0.35, 0.33},
	catalogue:      {"catalogue", "core", "high", protoHTTP, 3, "1.22.3", "1.22.2", 1, 1 * gib, 0.44, 0.33},
	cart:           {"cart", "core", "high", protoHTTP, 2, "1.18.0", "1.17.9", 0.5, 0.5 * gib, 0.41, 0.33},
	checkout:       {"checkout", "core", "critical", protoHTTP, 2, "4.2.0", "4.1.7", 0.5, 1 * gib, 0.46, 0.33},
	inventory:      {"inventory", "core", "high", protoGRPC, 2, "2.3.5", "2.3.4", 0.5, 0.5 * gib, 0.39, 0.33},
	payment:        {"payment", "core", "critical", protoGRPC, 2, "5.0.2", "5.0.1", 0.5, 0.5 * gib, 0.37, 0.33},
	shipping:       {"shipping", "core", "medium", protoGRPC, 2, "1.9.4", "1.9.3", 0.5, 0.5 * gib, 0.36, 0.33},
	recommendation: {"recommendation", "discovery", "medium", protoHTTP, 2, "0.31.0", "0.30.6", 1, 1 * gib, 0.48, 0.33},
	search:         {"search", "discovery", "high", protoHTTP, 2, "2.7.1", "2.7.0", 1, 2 * gib, 0.52, 0.33},
	user:           {"user", "core", "high", protoHTTP, 2, "3.3.0", "3.2.8", 0.5, 0.5 * gib, 0.40, 0.33},
	notification:   {"notification", "async", "low", protoKafka, 2, "1.4.6", "1.4.5", 0.5, 0.25 * gib, 0.42, 0.33},
	analytics:      {"analytics", "async", "low", protoKafka, 2, "2.0.9", "2.0.8", 0.5, 1 * gib, 0.45, 0.33},
	ordersDB:       {"orders-db", "data", "critical", protoPostgres, 1, "17.2", "17.1", 4, 8 * gib, 0.55, 0.2},
	cache:          {"cache", "data", "high", protoRedis, 1, "7.4.1", "7.4.0", 1, 2 * gib, 0.50, 0.2},
}

// baseHitRatio is the share of cache reads that hit in a warm cache.
const baseHitRatio = 0.9

// operation is something that a service does on request.
type operation struct {
	service int
	// method and route name an HTTP operation; route alone, as /package.Service/Method, a gRPC one; route alone, as the
	// topic, the processing of a message.
	method, route string
	name          string  // of the span
	subject       string  // for log records
	hasVariables  bool    // in the route
	mean          float64 // milliseconds of its own work
	steps         []step
	// logs are the templates of the INFO records of a good run: the first when work starts, the last when it ends, the
	// others in between.
	logs []string
}

type stepKind uint8

const (
	stepCall stepKind = iota
	stepQuery
	stepPublish
)

// step is one thing that an operation asks another service to do.
type step struct {
	kind stepKind
	to   int

	op *operation // of a call

	verb, collection, name string // of a query
	mean                   float64
	onMiss                 []step // of a cache read

	topic     string       // of a message
	consumers []*operation // who gets it

	timeout time.Duration
	retries int
	fatal   float64 // chance that its failure fails the caller; otherwise the caller makes do without
}

// write reports whether the step changes rows.
func (s *step) write() bool { return s.verb == "INSERT" || s.verb == "UPDATE" }

// requestKind is something that users do.
type requestKind struct {
	name        string
	share       float64
	criticality string
	entry       *operation
}

type topology struct {
	kinds []requestKind
	ops   []*operation
}

func (t *topology) op(service int, method, route string, mean float64, logs []string, steps ...step) *operation {
	o := &operation{service: service, method: method, route: route, mean: mean, logs: logs, steps: steps}
	o.hasVariables = strings.Contains(route, "{")
	switch specs[service].protocol {
	case protoHTTP:
		o.name = method + " " + route
		o.subject = o.name
	case protoGRPC:
		o.name = route[1:]
		o.subject = o.name
	default:
		o.name = "process " + route
		o.subject = "message of topic " + route
	}
	t.ops = append(t.ops, o)
	return o
}

func call(op *operation, timeout time.Duration, retries int, fatal float64) step {
	return step{kind: stepCall, to: op.service, op: op, timeout: timeout, retries: retries, fatal: fatal}
}

func sql(verb, collection string, mean float64) step {
	return step{
		kind: stepQuery, to: ordersDB, verb: verb, collection: collection, name: verb + " " + collection, mean: mean,
		timeout: 3 * time.Second, fatal: 1,
	}
}

// redis is a cache command. A failed read falls back to onMiss.
func redis(verb string, mean float64, onMiss ...step) step {
	return step{
		kind: stepQuery, to: cache, verb: verb, name: verb, mean: mean, onMiss: onMiss,
		timeout: 500 * time.Millisecond, retries: 1, fatal: 0.5,
	}
}

func publish(topic string, consumers ...*operation) step {
	return step{kind: stepPublish, topic: topic, name: "send " + topic, consumers: consumers, mean: 1.2, timeout: time.Second}
}
