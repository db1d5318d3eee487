package approvallink

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/semconv"
)

var (
	now    = time.Date(2026, 3, 1, 10, 15, 3, 0, time.UTC)
	oldKey = []byte("an old key of thirty-two bytes..")
	newKey = []byte("a new key of thirty-two bytes...")
)

func word() Word {
	return Word{
		Intent: strings.Repeat("0a", 16), PlanDigest: strings.Repeat("f1", 16), Verdict: semconv.ApprovalGranted,
		Destination: "slack-oncall", Expires: now.Add(15 * time.Minute),
	}
}

func TestSignAndRead(t *testing.T) {
	s := NewSigner(newKey, oldKey)
	seen := map[string]bool{}
	for name, edit := range map[string]func(*Word){
		"granted":           func(*Word) {},
		"denied":            func(w *Word) { w.Verdict = semconv.ApprovalDenied },
		"any plan":          func(w *Word) { w.PlanDigest = "" },
		"plan of zeros":     func(w *Word) { w.PlanDigest = strings.Repeat("0", 32) },
		"another place":     func(w *Word) { w.Destination = "pager·duty" },
		"longest place":     func(w *Word) { w.Destination = strings.Repeat("d", MaxDestination) },
		"another intent":    func(w *Word) { w.Intent = strings.Repeat("b", 32) },
		"longer":            func(w *Word) { w.Expires = now.Add(time.Hour) },
		"until the horizon": func(w *Word) { w.Expires = time.Unix(lastSeconds, 0).UTC() },
	} {
		t.Run(name, func(t *testing.T) {
			want := word()
			edit(&want)
			token, err := s.Sign(want)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(token), maxTokenLen)
			again, err := s.Sign(want)
			require.NoError(t, err)
			assert.Equal(t, token, again, "nothing is random")
			got, id, err := s.Read(token, now)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.NotContains(t, seen, id)
			seen[id] = true
		})
	}
}

func TestReadRefuses(t *testing.T) {
	s := NewSigner(newKey, oldKey)
	token, err := s.Sign(word())
	require.NoError(t, err)

	_, _, err = s.Read(token, word().Expires.Add(-time.Second))
	require.NoError(t, err, "the last second")
	late, id, err := s.Read(token, word().Expires)
	require.ErrorIs(t, err, ErrExpired)
	assert.Equal(t, word(), late, "an honest link says what it was for")
	assert.NotEmpty(t, id)

	raw, err := base64.RawURLEncoding.DecodeString(token)
	require.NoError(t, err)
	for i := range raw {
		for bit := range 8 {
			forged := append([]byte{}, raw...)
			forged[i] ^= 1 << bit
			_, _, err = s.Read(base64.RawURLEncoding.EncodeToString(forged), now)
			require.ErrorIs(t, err, ErrForged, "byte %d, bit %d", i, bit)
		}
	}
	for _, forged := range []string{"", "x", token + "A", token[1:], token[:len(token)-4], token + "=", token + "\n", strings.Repeat("A", 1<<16), "../" + token} {
		_, _, err = s.Read(forged, now)
		assert.ErrorIs(t, err, ErrForged, "%.50q", forged)
	}
	stranger, err := NewSigner([]byte("a key of somebody else")).Sign(word())
	require.NoError(t, err)
	_, _, err = s.Read(stranger, now)
	assert.ErrorIs(t, err, ErrForged)
}

// TestRotation lets a new key sign while links of the old one are still under way.
func TestRotation(t *testing.T) {
	old, err := NewSigner(oldKey).Sign(word())
	require.NoError(t, err)
	_, id, err := NewSigner(newKey, oldKey).Read(old, now)
	require.NoError(t, err)
	renewed, err := NewSigner(newKey, oldKey).Sign(word())
	require.NoError(t, err)
	_, renewedID, err := NewSigner(newKey).Read(renewed, now)
	require.NoError(t, err, "the first key signs")
	assert.Equal(t, id, renewedID, "a new key does not make a used link new")
	_, _, err = NewSigner(newKey).Read(old, now)
	assert.ErrorIs(t, err, ErrForged, "a key that is gone counts no more")
}

func TestSignRefuses(t *testing.T) {
	_, err := NewSigner(newKey).Sign(Word{Intent: "x", PlanDigest: "y", Verdict: "perhaps"})
	require.Error(t, err)
	for _, want := range []string{"intent must", "plan digest must", "verdict must", "destination must", "expiry must"} {
		assert.ErrorContains(t, err, want)
	}
}

func FuzzRead(f *testing.F) {
	s := NewSigner(newKey)
	token, err := s.Sign(word())
	require.NoError(f, err)
	f.Add(token)
	f.Add("")
	f.Fuzz(func(t *testing.T, got string) {
		if _, _, err := s.Read(got, now); err == nil && got != token {
			t.Fatalf("a forged link was believed: %q", got)
		}
	})
}
