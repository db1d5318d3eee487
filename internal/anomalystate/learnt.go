package anomalystate

import "github.com/paramedic-otel/paramedic/internal/baseline"

// ModelVersion is the version of what is learnt of a series.
const ModelVersion = baseline.ModelVersion

// MergeStates returns what two states of one series have learnt together. What is under way is that of the newer one.
func MergeStates(older, newer []byte) ([]byte, error) {
	var a, b baseline.Series
	if err := b.UnmarshalBinary(newer); err != nil {
		return nil, err
	}
	if err := a.UnmarshalBinary(older); err != nil {
		return nil, err
	}
	b.Merge(&a)
	return b.AppendBinary(nil)
}
