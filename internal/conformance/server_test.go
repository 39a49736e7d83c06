package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/carbons"
	"github.com/tidewaiter/tidewaiter/listen/host/features/disco"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/stanzaid"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	domain   = "one.example"
	password = "secret"
)

// accounts are those of the users that the tests know. Their keys take time.
var accounts = sync.OnceValues(func() ([]host.Account, error) {
	o := host.Defaults()
	o.Hosts = []string{domain}
	store := &host.MemoryAccounts{}
	a, err := host.NewAccounts(o, store, nil)
	if err != nil {
		return nil, err
	}
	var all []host.Account
	for _, name := range []string{"romeo", "juliet", "tybalt"} {
		j, err := stanza.NewJID(name, domain, "")
		if err != nil {
			return nil, err
		}
		if err := a.Create(context.Background(), j, password); err != nil {
			return nil, err
		}
		account, err := store.Get(context.Background(), j)
		if err != nil {
			return nil, err
		}
		all = append(all, account)
	}
	return all, nil
})

// server is a whole server in memory.
type server struct {
	t      *testing.T
	config host.Config
	sm     c2s.StreamManagement
	host   *host.Host
	ln     *listentest.Listener
	stop   func() // ends it; at the end of the test that happens anyway

	unmanaged bool           // stream management is off
	disco     *disco.Options // nil: as the host has them
}

// row is one test.
type row struct {
	name   string
	script string
	with   func(*server) // changes what there is before the server starts; nil: nothing
	do     func(*play)   // instead of a script

	// finding says why the row is known to fail; then it has to.
	finding string
}

// run runs each row with a server of its own.
func run(t *testing.T, rows []row) {
	t.Helper()
	if _, err := accounts(); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { r.run(t) })
		})
	}
}

func (r row) run(t *testing.T) {
	p := newPlay(t, newServer(t, r.with))
	t.Cleanup(p.close)
	p.attempt(func() {
		if r.do != nil {
			r.do(p)
		} else {
			p.script(r.script)
		}
	})
	switch {
	case r.finding == "":
		for _, f := range p.failures {
			t.Error(f)
		}
	case p.failures == nil:
		t.Errorf("passes, so the finding %q is none any more", r.finding)
	default:
		for _, f := range p.failures {
			t.Logf("finding: %s: %s", r.finding, f)
		}
	}
}

func newServer(t *testing.T, with func(*server)) *server {
	t.Helper()
	s := &server{t: t, sm: c2s.StreamManagementDefaults(), ln: listentest.NewListener()}
	s.config.Options = host.Defaults()
	s.config.Options.Hosts = []string{domain}
	s.config.Features = host.Messenger()
	ids := stanzaid.Defaults()
	s.config.Features.StanzaID.Value = &ids
	store := &host.MemoryAccounts{}
	known, _ := accounts()
	for _, a := range known {
		if err := store.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	s.config.Stores = host.Stores{Accounts: store, Roster: &roster.Memory{}, Offline: &offline.Memory{}, Private: &private.Memory{}, VCard: &vcard.Memory{}, Blocking: &blocking.Memory{}, Last: &last.Memory{}}
	if with != nil {
		with(s)
	}
	h, err := host.New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.host = h
	if s.disco != nil {
		h.Disco.Configure(stanza.PerHost[*disco.Options]{Value: s.disco})
	}
	module := c2s.New(all.C2S(h, nil))
	if !s.unmanaged {
		module.SetStreamManagement(stanza.PerHost[*c2s.StreamManagement]{Value: &s.sm})
	}
	s.listen(module)
	return s
}

// listen serves until the end of the test.
func (s *server) listen(m c2s.Module) {
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Listen(ctx, s.ln, o) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			s.t.Errorf("Listen: got %v, want context.Canceled", err)
		}
	})
	s.t.Cleanup(s.stop)
}

func (s *server) dial() net.Conn { return s.ln.Dial() }

// off switches a feature off while everything runs.
func (s *server) off(feature string) error {
	switch feature {
	case "roster":
		s.host.Roster.Configure(stanza.PerHost[*roster.Options]{})
	case "offline":
		s.host.Offline.Configure(stanza.PerHost[*offline.Options]{})
	case "last":
		s.host.Last.Configure(stanza.PerHost[*last.Options]{})
	case "private":
		s.host.Private.Configure(stanza.PerHost[*private.Options]{})
	case "vcard":
		s.host.VCard.Configure(stanza.PerHost[*vcard.Options]{})
	case "blocking":
		s.host.Blocking.Configure(stanza.PerHost[*blocking.Options]{})
	case "carbons":
		s.host.Carbons.Configure(stanza.PerHost[*carbons.Options]{})
	case "stanzaid":
		s.host.StanzaID.Configure(stanza.PerHost[*stanzaid.Options]{})
	case "disco":
		s.host.Disco.Configure(stanza.PerHost[*disco.Options]{})
	default:
		return fmt.Errorf("no feature %q", feature)
	}
	return nil
}

// withVersioning offers versions of rosters.
func withVersioning(s *server) {
	o := roster.Defaults()
	o.Versioning = true
	s.config.Features.Roster.Value = &o
}

// withOffline changes the options of offline messages.
func withOffline(change func(*offline.Options)) func(*server) {
	return func(s *server) {
		o := offline.Defaults()
		change(&o)
		s.config.Features.Offline.Value = &o
	}
}

// limit is a rule of numbers that says the same for everybody.
type limit int

func (l limit) Rate(acl.Subject) shaper.Rate { return shaper.Rate{} }

func (l limit) Limit(acl.Subject) (int, bool) { return int(l), true }
