// Package approvallink signs the links by which people answer a request for approval from a chat or a pager.
//
// A token says everything that a link stands for: the intent, the plan that was shown, the verdict, the destination that the link
// was sent to, and until when it counts. It is the unpadded base64 (URL alphabet) of that and of its HMAC-SHA256 (RFC 2104), 32
// bytes. Nothing has to be stored to make one: that it counts once is seen to by whoever keeps the ids of those that were used.
package approvallink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/semconv"
)

// MaxDestination bounds, in bytes, the name of a destination.
const MaxDestination = 128

// The errors of [Signer.Read].
var (
	// ErrForged says that no key of ours has signed this, or that it is no token at all.
	ErrForged = errors.New("link is not one of ours")
	// ErrExpired comes with what an honest but late link says.
	ErrExpired = errors.New("link has expired")
)

// Word is what a link says when it is followed.
type Word struct {
	// Intent and PlanDigest have 32 hexadecimal digits; the digest may be empty.
	Intent, PlanDigest string
	Verdict            semconv.ApprovalVerdict
	Destination        string
	// Expires has the precision of a second.
	Expires time.Time
}

// Signer makes and reads tokens.
type Signer struct{ keys [][]byte }

// NewSigner returns a signer that signs with the first key and believes all. There must be at least one.
func NewSigner(keys ...[]byte) *Signer { return &Signer{keys} }

const (
	version      = 1
	idLen        = 16
	headerLen    = 2 + 2*idLen + 8
	flagDenied   = 1
	flagPlan     = 2
	maxTokenLen  = (headerLen + MaxDestination + sha256.Size + 2) / 3 * 4
	macDomain    = "paramedic.link.v1\x00"
	tokenDomain  = "paramedic.link.id.v1\x00"
	firstSeconds = 1
	lastSeconds  = 253402300799 // JSON has no time past year 9999
)

var encoding = base64.RawURLEncoding.Strict()

// Sign returns the token of a word, the same for the same word.
func (s *Signer) Sign(w Word) (string, error) {
	var errs []error
	if !semconv.IsIntentID(w.Intent) {
		errs = append(errs, fmt.Errorf("intent must be 32 lower-case hexadecimal digits, got %.40q", w.Intent))
	}
	if w.PlanDigest != "" && !semconv.IsIntentID(w.PlanDigest) {
		errs = append(errs, fmt.Errorf("plan digest must be empty or 32 lower-case hexadecimal digits, got %.40q", w.PlanDigest))
	}
	if w.Verdict != semconv.ApprovalGranted && w.Verdict != semconv.ApprovalDenied {
		errs = append(errs, fmt.Errorf("verdict must be %s or %s, got %.40q", semconv.ApprovalGranted, semconv.ApprovalDenied, w.Verdict))
	}
	if w.Destination == "" || len(w.Destination) > MaxDestination || !utf8.ValidString(w.Destination) {
		errs = append(errs, fmt.Errorf("destination must have 1 to %d bytes of UTF-8, got %.40q", MaxDestination, w.Destination))
	}
	seconds := w.Expires.Unix()
	if seconds < firstSeconds || seconds > lastSeconds {
		errs = append(errs, errors.New("expiry must be a time after 1970 and before the year 10000"))
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	payload := make([]byte, headerLen, headerLen+len(w.Destination)+sha256.Size)
	payload[0] = version
	if w.Verdict == semconv.ApprovalDenied {
		payload[1] |= flagDenied
	}
	_, _ = hex.Decode(payload[2:2+idLen], []byte(w.Intent)) // checked above
	if w.PlanDigest != "" {
		payload[1] |= flagPlan
		_, _ = hex.Decode(payload[2+idLen:2+2*idLen], []byte(w.PlanDigest)) // checked above
	}
	binary.BigEndian.PutUint64(payload[2+2*idLen:headerLen], uint64(seconds))
	payload = append(payload, w.Destination...)
	return encoding.EncodeToString(append(payload, mac(s.keys[0], payload)...)), nil
}

// Read returns what a token says, and an id by which it can be told that it was used. An honest token that is too late comes with
// [ErrExpired]. It takes the same time whatever the signature is.
func (s *Signer) Read(token string, now time.Time) (Word, string, error) {
	// The decoder would pass over line ends.
	if len(token) > maxTokenLen || strings.ContainsAny(token, "\r\n") {
		return Word{}, "", ErrForged
	}
	b, err := encoding.DecodeString(token)
	if err != nil || len(b) <= headerLen+sha256.Size {
		return Word{}, "", ErrForged
	}
	payload, signature := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	genuine := false
	for _, key := range s.keys {
		if hmac.Equal(signature, mac(key, payload)) {
			genuine = true
		}
	}
	if !genuine || payload[0] != version {
		return Word{}, "", ErrForged
	}
	w := Word{
		Intent: hex.EncodeToString(payload[2 : 2+idLen]), Verdict: semconv.ApprovalGranted, Destination: string(payload[headerLen:]),
		Expires: time.Unix(int64(binary.BigEndian.Uint64(payload[2+2*idLen:headerLen])), 0).UTC(),
	}
	if payload[1]&flagDenied != 0 {
		w.Verdict = semconv.ApprovalDenied
	}
	if payload[1]&flagPlan != 0 {
		w.PlanDigest = hex.EncodeToString(payload[2+idLen : 2+2*idLen])
	}
	id := sha256.Sum256(append([]byte(tokenDomain), payload...))
	if !now.Before(w.Expires) {
		err = ErrExpired
	}
	return w, "link:" + hex.EncodeToString(id[:]), err
}

func mac(key, payload []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(macDomain)) // a hash takes everything
	_, _ = h.Write(payload)
	return h.Sum(nil)
}
