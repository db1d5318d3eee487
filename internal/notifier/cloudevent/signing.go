package cloudevent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

// Signature is how a receiver tells our messages from forged ones.
type Signature string

// The signatures. All are HMAC-SHA256 with a shared secret.
const (
	// StandardWebhooks signs the ID, the time of the attempt and the body, as the Standard Webhooks specification 1.0 says; several
	// secrets sign each message while they are rotated.
	StandardWebhooks Signature = "standard_webhooks"
	// Grafana signs the body, or the time, a colon and the body, like Grafana's webhook contact point.
	Grafana Signature = "grafana"
	// GitHub signs the body, like GitHub's webhooks.
	GitHub Signature = "github"
)

const (
	headerGrafana = "X-Grafana-Alerting-Signature"
	headerGitHub  = "X-Hub-Signature-256"
	// maxSecrets bounds the keys with which a message is signed at the same time.
	maxSecrets = 4
	// minSecret is in bytes, for the signatures whose secrets are any text.
	minSecret = 16
)

// UnmarshalText reads a signature.
func (s *Signature) UnmarshalText(text []byte) error {
	switch v := Signature(text); v {
	case StandardWebhooks, Grafana, GitHub:
		*s = v
		return nil
	default:
		return fmt.Errorf("signature must be %s, %s or %s, got %.80q", StandardWebhooks, Grafana, GitHub, text)
	}
}

// Signing says how messages are signed.
type Signing struct {
	Signature Signature `mapstructure:"signature"`
	// Secrets sign every message: 1 to 4 of the form whsec_<base64> for standard_webhooks, else one text of 16 or more bytes.
	Secrets []configopaque.String `mapstructure:"secrets"`
	// SignatureHeader is where the signature stands; only for grafana.
	SignatureHeader string `mapstructure:"signature_header"`
	// TimestampHeader is where the time stands that is signed with the body; empty signs the body alone. Only for grafana.
	TimestampHeader string `mapstructure:"timestamp_header"`
}

// DefaultSigning returns the defaults.
func DefaultSigning() Signing { return Signing{Signature: StandardWebhooks} }

// headerName is what HTTP allows as the name of a header.
var headerName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]{1,100}$")

// Validate checks the secrets without quoting them.
func (s *Signing) Validate() error {
	var errs []error
	for _, h := range []struct{ field, name string }{{"signature_header", s.SignatureHeader}, {"timestamp_header", s.TimestampHeader}} {
		switch {
		case h.name == "":
		case s.Signature != Grafana:
			errs = append(errs, fmt.Errorf("%s must not be set with signature %s; it is for %s", h.field, s.Signature, Grafana))
		case !headerName.MatchString(h.name):
			errs = append(errs, fmt.Errorf("%s must be the name of a header, got %.80q", h.field, h.name))
		}
	}
	if s.Signature != StandardWebhooks {
		if len(s.Secrets) != 1 || len(s.Secrets[0]) < minSecret {
			errs = append(errs, fmt.Errorf("secrets must hold one value of at least %d bytes for signature %s; its header has room for one signature", minSecret, s.Signature))
		}
		return errors.Join(errs...)
	}
	if len(s.Secrets) == 0 || len(s.Secrets) > maxSecrets {
		errs = append(errs, fmt.Errorf("secrets must hold 1 to %d values, got %d; receivers tell our messages from forged ones by them", maxSecrets, len(s.Secrets)))
	}
	for i, secret := range s.Secrets {
		if _, err := standardwebhooks.ParseKey(string(secret)); err != nil {
			errs = append(errs, fmt.Errorf("secrets::%d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// OwnHeaders are the names of those that a signed message has.
func (s *Signing) OwnHeaders() []string {
	return []string{standardwebhooks.HeaderID, standardwebhooks.HeaderTimestamp, standardwebhooks.HeaderSignature, headerGitHub, s.grafanaHeader(), s.TimestampHeader}
}

func (s *Signing) grafanaHeader() string {
	if s.SignatureHeader != "" {
		return s.SignatureHeader
	}
	return headerGrafana
}

// Signer signs messages.
type Signer struct {
	cfg  Signing
	keys []standardwebhooks.Key
}

// NewSigner returns the signer of a valid configuration.
func NewSigner(cfg Signing) (*Signer, error) {
	s := &Signer{cfg: cfg}
	if cfg.Signature != StandardWebhooks {
		return s, nil
	}
	for _, secret := range cfg.Secrets {
		k, err := standardwebhooks.ParseKey(string(secret))
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// Sign sets the headers of a message that is sent at a time. Its ID is always in webhook-id.
func (s *Signer) Sign(h http.Header, id string, body []byte, at time.Time) {
	h.Set(standardwebhooks.HeaderID, id)
	timestamp := standardwebhooks.Timestamp(at)
	switch s.cfg.Signature {
	case Grafana:
		signed := []byte(nil)
		if s.cfg.TimestampHeader != "" {
			h.Set(s.cfg.TimestampHeader, timestamp)
			signed = []byte(timestamp + ":")
		}
		h.Set(s.cfg.grafanaHeader(), s.mac(signed, body))
	case GitHub:
		h.Set(headerGitHub, "sha256="+s.mac(nil, body))
	default:
		h.Set(standardwebhooks.HeaderTimestamp, timestamp)
		h.Set(standardwebhooks.HeaderSignature, standardwebhooks.Sign(s.keys, id, timestamp, body))
	}
}

func (s *Signer) mac(parts ...[]byte) string {
	h := hmac.New(sha256.New, []byte(s.cfg.Secrets[0])) // Validate wants exactly one
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
