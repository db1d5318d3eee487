package standardwebhooks

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func key(t testing.TB, b byte) Key {
	t.Helper()
	k, err := ParseKey("whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), 32))))
	require.NoError(t, err)
	return k
}

// The vector is the one that the reference libraries of Standard Webhooks test themselves with.
func TestSignReferenceVector(t *testing.T) {
	k, err := ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	got := Sign([]Key{k}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	assert.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", got)
}

func TestVerify(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	oldKey, newKey, other := key(t, 'o'), key(t, 'n'), key(t, 'x')
	body := []byte(`{"a":1}`)
	sig := Sign([]Key{newKey, oldKey}, "id-1", Timestamp(at), body)
	require.Len(t, strings.Split(sig, " "), 2)

	verify := func(keys []Key, id, ts, sig string, body string, now time.Time) error {
		return Verify(keys, id, ts, sig, []byte(body), now, 5*time.Minute)
	}
	ts := Timestamp(at)
	for name, tc := range map[string]struct {
		err  error
		want error
	}{
		"new key":         {verify([]Key{newKey}, "id-1", ts, sig, `{"a":1}`, at), nil},
		"old key":         {verify([]Key{oldKey}, "id-1", ts, sig, `{"a":1}`, at), nil},
		"edge":            {verify([]Key{oldKey}, "id-1", ts, sig, `{"a":1}`, at.Add(5*time.Minute)), nil},
		"other key":       {verify([]Key{other}, "id-1", ts, sig, `{"a":1}`, at), ErrSignature},
		"no key":          {verify(nil, "id-1", ts, sig, `{"a":1}`, at), ErrSignature},
		"other id":        {verify([]Key{newKey}, "id-2", ts, sig, `{"a":1}`, at), ErrSignature},
		"other body":      {verify([]Key{newKey}, "id-1", ts, sig, `{"a":2}`, at), ErrSignature},
		"other time":      {verify([]Key{newKey}, "id-1", Timestamp(at.Add(time.Second)), sig, `{"a":1}`, at), ErrSignature},
		"too old":         {verify([]Key{newKey}, "id-1", ts, sig, `{"a":1}`, at.Add(301*time.Second)), ErrTimestamp},
		"from the future": {verify([]Key{newKey}, "id-1", ts, sig, `{"a":1}`, at.Add(-301*time.Second)), ErrTimestamp},
		"no timestamp":    {verify([]Key{newKey}, "id-1", "", sig, `{"a":1}`, at), ErrTimestamp},
		"no signature":    {verify([]Key{newKey}, "id-1", ts, "", `{"a":1}`, at), ErrSignature},
		"many signatures": {verify([]Key{newKey}, "id-1", ts, strings.Repeat("v1,AAAA ", 100)+sig, `{"a":1}`, at), ErrSignature},
		"other scheme":    {verify([]Key{newKey}, "id-1", ts, "v1a"+sig[2:], `{"a":1}`, at), ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.want == nil {
				require.NoError(t, tc.err)
			} else {
				require.ErrorIs(t, tc.err, tc.want)
			}
		})
	}
}

func TestParseKeyNeverQuotesTheSecret(t *testing.T) {
	for name, secret := range map[string]string{
		"prefix": "topsecretvalue",
		"base64": "whsec_topsecretvalue!",
		"short":  "whsec_" + base64.StdEncoding.EncodeToString([]byte("topsecretvalue")),
		"long":   "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("topsecretvalue", 5))),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKey(secret)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "topsecretvalue")
			assert.NotContains(t, err.Error(), strings.TrimPrefix(secret, "whsec_"))
		})
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("id", "1700000000", "v1,AAAA v1,BBBB", []byte("body"))
	f.Fuzz(func(t *testing.T, id, ts, sig string, body []byte) {
		k := key(t, 'k')
		now := time.Unix(1_700_000_000, 0)
		if Verify([]Key{k}, id, ts, sig, body, now, time.Minute) == nil {
			assert.Contains(t, sig, Sign([]Key{k}, id, ts, body))
		}
		stamp := Timestamp(now)
		require.NoError(t, Verify([]Key{k}, id, stamp, Sign([]Key{k}, id, stamp, body), body, now, time.Minute))
	})
}
