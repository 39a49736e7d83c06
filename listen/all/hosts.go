package all

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"log/slog"
	"net"
	"net/netip"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/component"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/s2s"
	"github.com/tidewaiter/tidewaiter/stun"
)

// Dialer is the Dial of s2s.Host.
type Dialer = func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)

// C2S returns what c2s needs of a host, taken from h. log may be nil.
func C2S(h *host.Host, log *slog.Logger) c2s.Host {
	return c2s.Host{
		Domains:     h.Local,
		Router:      h.Local,
		SCRAM:       h.Accounts,
		Password:    h.Accounts,
		Certificate: h.Accounts,
		Token:       h.Tokens,
		Anonymous:   h.Accounts,
		IQ:          h.IQ,
		PreAuthIQ:   h.Register,
		Features:    h,
		Session:     h.Local,
		Log:         log,
	}
}

// S2S returns what s2s needs of a host, taken from h. The server made of it is for
// h.Local.Next. log may be nil.
func S2S(h *host.Host, log *slog.Logger) s2s.Host {
	return s2s.Host{Domains: h.Local, Router: h.Local, Log: log}
}

// Component returns what component needs of a host, taken from h. log may be nil.
func Component(h *host.Host, log *slog.Logger) component.Host {
	return component.Host{Router: h.Local, Events: h, Log: log}
}

// STUN returns what stun needs of a host, taken from h: relays are for its accounts,
// and for those to whom it gives credentials (XEP-0215). log may be nil.
func STUN(h *host.Host, log *slog.Logger) stun.Host {
	return stun.Host{Accounts: relayUsers{h.TURN}, Log: log}
}

// dialbackSecret makes the secret of s2s of that of c2s, which nobody can tell by
// the other one; nil of nil.
func dialbackSecret(secret []byte) []byte {
	if secret == nil {
		return nil
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("server dialback"))
	return m.Sum(nil)
}
