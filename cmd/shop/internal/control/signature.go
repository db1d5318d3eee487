package control

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far a webhook's timestamp may be from the present.
const tolerance = 5 * time.Minute

// Secret is the key of Standard Webhooks signatures. Its text is never printed.
type Secret struct{ key []byte }

// ParseSecret reads "whsec_<base64>". An empty text is an empty secret.
func ParseSecret(text string) (Secret, error) {
	if text == "" {
		return Secret{}, nil
	}
	encoded, ok := strings.CutPrefix(text, "whsec_")
	if !ok {
		return Secret{}, errors.New("webhook secret must begin with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return Secret{}, errors.New("webhook secret must be base64 after whsec_")
	}
	const shortest, longest = 16, 128
	if len(key) < shortest || len(key) > longest {
		return Secret{}, fmt.Errorf("webhook secret must have %d to %d bytes, got %d", shortest, longest, len(key))
	}
	return Secret{key}, nil
}

// String hides the secret from logs.
func (Secret) String() string { return "[redacted]" }

// GoString hides it from %#v too.
func (Secret) GoString() string { return "[redacted]" }

func (s Secret) empty() bool { return len(s.key) == 0 }

// Sign returns one signature of the Standard Webhooks header for the body.
func (s Secret) Sign(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id))
	mac.Write([]byte{'.'})
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

var errUnverified = errors.New("webhook not verified")

// verify checks the signature, of which the header may hold several, and the timestamp.
func (s Secret) verify(id, timestamp, signatures string, body []byte, now time.Time) error {
	const longestID = 256
	if id == "" || len(id) > longestID {
		return fmt.Errorf("%w: webhook-id must have 1 to %d characters", errUnverified, longestID)
	}
	unix, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: webhook-timestamp must be seconds since 1970", errUnverified)
	}
	if age := now.Unix() - unix; age > int64(tolerance/time.Second) || age < -int64(tolerance/time.Second) {
		return fmt.Errorf("%w: webhook-timestamp is more than %s from now", errUnverified, tolerance)
	}
	want := []byte(s.Sign(id, timestamp, body))
	for signature := range strings.FieldsSeq(signatures) {
		if hmac.Equal([]byte(signature), want) {
			return nil
		}
	}
	return fmt.Errorf("%w: no webhook-signature matches", errUnverified)
}
