package semconv

import "go.opentelemetry.io/collector/pdata/pcommon"

// MaxGraphEdges is how many edges [Incident.Graph] has at most.
const MaxGraphEdges = 50

// GraphEdge is an edge of the service graph near an incident, and what it carried while the incident went on.
type GraphEdge struct {
	// Client and Server name the caller and the callee as entities are named; Client is [GraphUser] where requests come in.
	Client, Server string
	// ConnectionType is one of the Connection constants.
	ConnectionType string
	// RequestsPerSecond is not negative, FailureRatio the share of them that failed, in [0, 1], and MeanDuration in seconds, as the
	// callee saw it where it says so.
	RequestsPerSecond, FailureRatio, MeanDuration float64
	// Abnormal says that trouble flows along it: more failures or longer durations than it usually has, or missing calls.
	Abnormal bool
}

// Keys of the body map for edges; client, server and connection_type are those of the graph's metrics.
const (
	bodyGraph            = "graph"
	keyRequestsPerSecond = "requests_per_second"
	keyMeanDuration      = "mean_duration_seconds"
	keyAbnormal          = "abnormal"
)

// encodeGraph writes the edges, if there are any.
func (i *Incident) encodeGraph(body pcommon.Map) {
	if len(i.Graph) == 0 {
		return
	}
	edges := body.PutEmptySlice(bodyGraph)
	edges.EnsureCapacity(len(i.Graph))
	for k := range i.Graph {
		e := &i.Graph[k]
		m := edges.AppendEmpty().SetEmptyMap()
		m.EnsureCapacity(7)
		m.PutStr(AttrGraphClient, e.Client)
		m.PutStr(AttrGraphServer, e.Server)
		m.PutStr(AttrGraphConnectionType, e.ConnectionType)
		m.PutDouble(keyRequestsPerSecond, e.RequestsPerSecond)
		m.PutDouble(keyFailureRatio, e.FailureRatio)
		m.PutDouble(keyMeanDuration, e.MeanDuration)
		m.PutBool(keyAbnormal, e.Abnormal)
	}
}

// graph reads the edges, the first [MaxGraphEdges] of them.
func (d *decoder) graph(body pcommon.Map) (edges []GraphEdge) {
	for m := range d.maps(body, bodyGraph) {
		if len(edges) == MaxGraphEdges {
			break
		}
		e := GraphEdge{
			Client: d.str(m, AttrGraphClient), Server: d.str(m, AttrGraphServer), ConnectionType: d.str(m, AttrGraphConnectionType),
			RequestsPerSecond: d.notNegative(m, keyRequestsPerSecond), FailureRatio: d.ratio(m, keyFailureRatio),
			MeanDuration: d.notNegative(m, keyMeanDuration),
		}
		if v, ok := d.get(m, keyAbnormal, pcommon.ValueTypeBool); ok {
			e.Abnormal = v.Bool()
		}
		edges = append(edges, e)
	}
	return edges
}

// notNegative returns a finite number from 0 on.
func (d *decoder) notNegative(m pcommon.Map, key string) float64 {
	f := d.double(m, key)
	if f < 0 {
		d.fail(key, "must not be negative, got %v", f)
		return 0
	}
	return f
}
