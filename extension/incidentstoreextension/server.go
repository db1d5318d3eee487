package incidentstoreextension

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/restapi"
	"github.com/paramedic-otel/paramedic/internal/boundedlistener"
)

const maxHeader = 16 << 10

// server serves the API.
type server struct {
	api *restapi.API
	srv *http.Server
	// known asks everybody who they are, and open does not; only approval links may come that way.
	known, open http.Handler
	running     sync.WaitGroup
}

func startServer(ctx context.Context, host component.Host, e *incidentStore) (*server, error) {
	cfg := e.cfg.API.Get()
	s := &server{api: restapi.New(e.store, restapi.Settings{
		Authenticated: cfg.Auth.HasValue(), Identity: cfg.Identity, Operators: cfg.Operators, Challenge: cfg.Challenge,
		CommandWait: cfg.CommandWait, Timeout: cfg.RequestTimeout, MaxSilence: cfg.MaxSilence, MaxStatistics: cfg.MaxStatistics,
		Stream: restapi.StreamSettings{
			MaxClients: cfg.Stream.MaxClients, Heartbeat: cfg.Stream.Heartbeat, WriteTimeout: cfg.Stream.WriteTimeout, MaxDuration: cfg.Stream.MaxDuration,
		},
		Links: e.signer, AnonymousLinks: e.cfg.Links.AllowAnonymous,
	}, e.telemetry)}
	// What a browser sends on behalf of another site is refused, since it may hold the person's credentials.
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(s.api.RefuseForeign))
	guarded := protection.Handler(s.api)
	serverOf := func(settings confighttp.ServerConfig) (*http.Server, error) {
		return settings.ToServer(ctx, host.GetExtensions(), e.set, guarded, confighttp.WithErrorHandler(s.api.WriteRefusal))
	}
	var err error
	if s.srv, err = serverOf(cfg.ServerConfig); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	s.known = s.srv.Handler
	if e.cfg.Links.AllowAnonymous {
		settings := cfg.ServerConfig
		settings.Auth = configoptional.None[confighttp.AuthConfig]()
		open, err := serverOf(settings)
		if err != nil {
			return nil, fmt.Errorf("api: %w", err)
		}
		s.open = open.Handler
	}
	s.srv.Handler = s
	s.srv.MaxHeaderBytes = maxHeader
	listener, err := boundedlistener.Listen(ctx, &cfg.ServerConfig, cfg.MaxConnections)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	e.address = listener.Addr().String()
	s.running.Go(func() {
		if err := s.srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.logger.Error("api has stopped", zap.Error(err))
		}
	})
	return s, nil
}

// ServeHTTP lets those with a link, and without credentials, pass the authenticator.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.open != nil && strings.HasPrefix(r.URL.Path, "/decide/") && r.Header.Get("Authorization") == "" {
		s.open.ServeHTTP(w, r)
		return
	}
	s.known.ServeHTTP(w, r)
}

// stop ends live updates, and lets other requests under way end within ctx.
func (s *server) stop(ctx context.Context) error {
	s.api.Close()
	err := s.srv.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.srv.Close())
	}
	s.running.Wait()
	return err
}

func (s *server) streams() int64 {
	if s == nil {
		return 0
	}
	return s.api.Streams()
}
