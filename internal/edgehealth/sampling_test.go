package edgehealth

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// weighed returns a sample of as many calls as each of those seen stands for.
func weighed(s *Sample, weight float64) *Sample {
	out := &Sample{
		Requests: s.Requests * weight, Failed: s.Failed * weight, Unseen: s.Requests * (weight - 1),
		ServerSeconds: s.ServerSeconds * weight, ClientSeconds: s.ClientSeconds * weight,
	}
	for b := range s.ServerLatency {
		out.ServerLatency[b], out.ClientLatency[b] = s.ServerLatency[b]*float32(weight), s.ClientLatency[b]*float32(weight)
	}
	return out
}

// What each sampled call stands for is no evidence: the findings are those of the calls that were seen, and the impacts those
// of what they stand for.
func TestSampledCallsAreTheEvidence(t *testing.T) {
	const weight = 10
	for name, bad := range map[string]*Sample{
		"failing": calls(20, 10, 0.02, 0.022), "slow": calls(20, 0, 0.5, 0.502), "gone": calls(0, 0, 0, 0), "surge": calls(90, 0, 0.02, 0.022),
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewSource(1))
			all, few := New(user, limits, learning), New(user, limits, learning)
			found := 0
			for b := range int64(300) {
				n := float64(15 + rng.Intn(10))
				samples := map[Key]*Sample{entry: calls(n, 0, 0.05, 0), front: calls(n, float64(rng.Intn(2)), 0.02, 0.022)}
				if b >= 290 {
					samples[front] = bad
				}
				for key, s := range samples {
					few.Observe(key, b, s)
					all.Observe(key, b, weighed(s, weight))
				}
				want, got := few.Close(b, 4), all.Close(b, 4)
				require.Len(t, got, len(want), "bucket %d", b)
				for i := range got {
					require.InEpsilon(t, 1+want[i].Normal, 1+got[i].Normal, 1e-6)
					require.InEpsilon(t, 1+want[i].Now, 1+got[i].Now, 1e-6)
					got[i].Normal, got[i].Now = want[i].Normal, want[i].Now
				}
				require.Equal(t, want, got, "bucket %d", b)
				found += len(want)
			}
			assert.Positive(t, found)
			for _, key := range []Key{entry, front} {
				want, got := few.Impact(key, 6), all.Impact(key, 6)
				assert.InDelta(t, 1, want.Weight, 0)
				assert.InDelta(t, weight, got.Weight, 1e-5)
				assert.InEpsilon(t, 1+weight*want.Requests, 1+got.Requests, 1e-5)
				assert.InEpsilon(t, weight*want.UsualRequests, got.UsualRequests, 1e-5)
				assert.InEpsilon(t, want.UsualBuckets, got.UsualBuckets, 1e-5)
				assert.InEpsilon(t, weight*want.ExpectedRequests, got.ExpectedRequests, 1e-5)
				assert.InEpsilon(t, 1+weight*want.Failures, 1+got.Failures, 1e-5)
				assert.InEpsilon(t, weight*want.FailureNoise, got.FailureNoise, 1e-5)
				assert.InEpsilon(t, 1+weight*want.Seconds, 1+got.Seconds, 1e-4)
				assert.InDelta(t, few.Seen(key.Server), all.Seen(key.Server), 1e-3)
				assert.InDelta(t, weight*few.Requests(key.Server), all.Requests(key.Server), 1e-3)
				requests, failed := few.Counts(key, 6)
				gotRequests, gotFailed := all.Counts(key, 6)
				assert.InDelta(t, weight*requests, gotRequests, 1e-2)
				assert.InDelta(t, weight*failed, gotFailed, 1e-2)
			}
		})
	}
}

// Sampling more or fewer of the same calls is no event.
func TestChangeOfSamplingIsNoEvent(t *testing.T) {
	for name, weights := range map[string][2]float64{"fewer": {1, 10}, "more": {10, 1}} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewSource(2))
			m := New(user, limits, learning)
			for b := range int64(400) {
				weight := weights[b/200]
				n := float64(30 + rng.Intn(10))
				if weight > 1 {
					n = float64(2 + rng.Intn(3))
				}
				s := calls(n, 0, 0.02, 0.022)
				m.Observe(entry, b, weighed(s, weight))
				m.Observe(front, b, weighed(s, weight))
				require.Empty(t, m.Close(b, 6), "bucket %d", b)
			}
		})
	}
}

// More requests that nobody saw than there were are nonsense, which must do no harm.
func TestMoreUnseenThanRequests(t *testing.T) {
	m := New(user, limits, learning)
	for b := range int64(100) {
		s := calls(5, 1, 0.02, 0.022)
		s.Unseen = 1e12
		m.Observe(front, b, s)
		for _, f := range m.Close(b, 4) {
			assert.Less(t, f.Verdict.Surprise, 300.0)
		}
	}
	impact := m.Impact(front, 5)
	assert.GreaterOrEqual(t, impact.Weight, 1.0)
	assert.InDelta(t, 25, impact.Requests, 0.1)
}

// What was sampled survives a restart.
func TestSamplingSurvives(t *testing.T) {
	a := New(user, limits, learning)
	samples := func(int64) map[Key]*Sample {
		return map[Key]*Sample{entry: weighed(calls(9, 0, 0.05, 0), 10), front: weighed(calls(9, 1, 0.02, 0.022), 10)}
	}
	play2(a, 0, 120, samples)
	a.Observe(front, 121, weighed(calls(5, 1, 0.02, 0.03), 10))
	b := restored(t, true, records(a)...)
	assert.Equal(t, a.Impact(front, 5), b.Impact(front, 5))
	bad := func(int64) map[Key]*Sample {
		return map[Key]*Sample{entry: weighed(calls(9, 0, 0.05, 0), 10), front: weighed(calls(9, 8, 0.02, 0.022), 10)}
	}
	want, got := play2(a, 120, 20, bad), play2(b, 120, 20, bad)
	require.NotEmpty(t, want)
	assert.Equal(t, want, got)
}
