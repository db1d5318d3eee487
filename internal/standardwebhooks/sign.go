// Package standardwebhooks signs and verifies HTTP callbacks the way the Standard Webhooks specification 1.0 says
// (symmetric scheme v1): an HMAC-SHA256 over the message's id, the time of the attempt and the exact bytes of the body.
package standardwebhooks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed message.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

const (
	secretPrefix    = "whsec_"
	signaturePrefix = "v1,"
	minKeyBytes     = 24
	maxKeyBytes     = 64
	// maxSignatures bounds the work that a hostile header can cause.
	maxSignatures = 16
)

// Reasons for which a message is refused.
var (
	ErrTimestamp = errors.New("webhook-timestamp is missing or outside the tolerance")
	ErrSignature = errors.New("no signature matches")
)

// Key is a symmetric signing key.
type Key struct{ raw []byte }

// ParseKey reads a secret of the form whsec_<base64 of 24 to 64 bytes>. Its errors never quote the secret.
func ParseKey(secret string) (Key, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return Key{}, errors.New("secret must start with " + secretPrefix)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return Key{}, errors.New("secret must be standard base64 after " + secretPrefix)
	}
	if len(raw) < minKeyBytes || len(raw) > maxKeyBytes {
		return Key{}, fmt.Errorf("secret must hold %d to %d bytes, got %d", minKeyBytes, maxKeyBytes, len(raw))
	}
	return Key{raw: raw}, nil
}

// Bytes returns the key, for signatures over something else than a message.
func (k Key) Bytes() []byte { return bytes.Clone(k.raw) }

// Timestamp returns the value of the timestamp header.
func Timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// Sign returns the value of the signature header: one signature for each key, separated by spaces, so that a receiver
// which knows any of them accepts the message while keys are rotated.
func Sign(keys []Key, id, timestamp string, body []byte) string {
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(signaturePrefix)
		b.WriteString(base64.StdEncoding.EncodeToString(k.mac(id, timestamp, body)))
	}
	return b.String()
}

// Verify checks a received message against every key. The timestamp may be off by the tolerance in either direction.
func Verify(keys []Key, id, timestamp, signature string, body []byte, now time.Time, tolerance time.Duration) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return ErrTimestamp
	}
	if sent := time.Unix(seconds, 0); sent.Before(now.Add(-tolerance)) || sent.After(now.Add(tolerance)) {
		return ErrTimestamp
	}
	for n := 0; n < maxSignatures; n++ {
		var one string
		var more bool
		one, signature, more = strings.Cut(signature, " ")
		if encoded, ok := strings.CutPrefix(one, signaturePrefix); ok {
			if got, err := base64.StdEncoding.DecodeString(encoded); err == nil && matches(keys, got, id, timestamp, body) {
				return nil
			}
		}
		if !more {
			break
		}
	}
	return ErrSignature
}

func matches(keys []Key, got []byte, id, timestamp string, body []byte) bool {
	for _, k := range keys {
		if hmac.Equal(got, k.mac(id, timestamp, body)) {
			return true
		}
	}
	return false
}

func (k Key) mac(id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, k.raw)
	h.Write([]byte(id))
	h.Write([]byte{'.'})
	h.Write([]byte(timestamp))
	h.Write([]byte{'.'})
	h.Write(body)
	return h.Sum(nil)
}
