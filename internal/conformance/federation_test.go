package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/component"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/offline"
	"github.com/tidewaiter/tidewaiter/listen/host/features/private"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/host/features/vcard"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/s2s"
)

// abroad are the clients of users at several servers, by short names.
var abroad = map[string]string{
	"ro": "romeo@one.example/orchard", "rg": "romeo@one.example/garden", "rh": "romeo@one.example/hall", "ts": "tybalt@one.example/street",
	"jb": "juliet@two.example/balcony", "jc": "juliet@two.example/chamber", "nu": "nurse@two.example/kitchen",
	"me": "mercutio@three.example/square",
}

// abroadWords are the variables of scripts about several servers.
var abroadWords = func() map[string]string {
	w := map[string]string{"ns": serverNS, "dialback": dialbackFeature}
	for name, full := range abroad {
		w[name] = full
		bare, _, _ := strings.Cut(full, "/")
		w[bare[:1]] = bare
	}
	for name, space := range map[string]string{
		"server": stanza.NSServer, "tls": nsTLS, "sasl": "urn:ietf:params:xml:ns:xmpp-sasl",
		"bidi": "urn:xmpp:bidi", "bidis": "urn:xmpp:features:bidi", "db": "urn:xmpp:features:dialback",
		"component": stanza.NSComponent, "version": "jabber:iq:version",
	} {
		w[name] = "xmlns='" + space + "'"
	}
	return w
}()

// citizens are the accounts of all servers. Their keys take time.
var citizens = sync.OnceValues(func() (map[string][]host.Account, error) {
	all, done := map[string][]host.Account{}, map[stanza.JID]bool{}
	ctx := context.Background()
	for _, full := range abroad {
		j, err := stanza.ParseJID(full)
		if err != nil {
			return nil, err
		}
		o := host.Defaults()
		o.Hosts = []string{j.Domain()}
		store := &host.MemoryAccounts{}
		a, err := host.NewAccounts(o, store, nil)
		if err != nil {
			return nil, err
		}
		if done[j.Bare()] {
			continue
		}
		done[j.Bare()] = true
		if err := a.Create(ctx, j.Bare(), password); err != nil {
			return nil, err
		}
		account, err := store.Get(ctx, j.Bare())
		if err != nil {
			return nil, err
		}
		all[j.Domain()] = append(all[j.Domain()], account)
	}
	return all, nil
})

// site is a whole server: with listeners for clients, servers and components.
type site struct {
	name      string
	config    host.Config
	settings  s2s.Settings
	options   s2s.Options
	component component.Options
	secret    []byte // of dialback
	secure    bool   // has certificates

	host                         *host.Host
	clients, servers, components *listentest.Listener
	direct                       *listentest.Listener // of servers with TLS from the first byte
	stopServers                  func()               // ends Listen of servers; at the end of the test that happens anyway
	stopComponents               func()               // and of components
	shutdown                     func()               // ends the outgoing streams
}

// federation is a play on several servers.
type federation struct {
	*play
	net   *network
	sites map[string]*site
	order []*site

	mu    sync.Mutex
	autos []*client // with connections
}

// frow is a test of servers with others. Its server is one.example, unless with
// makes it another, or several.
type frow struct {
	name, script string
	with         func(*federation)
	do           func(*federation) // instead of a script
}

// runFederation runs each row with servers of its own.
func runFederation(t *testing.T, rows []frow) {
	t.Helper()
	if _, err := citizens(); err != nil {
		t.Fatal(err)
	}
	authorities()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { r.run(t) })
		})
	}
}

func (r frow) run(t *testing.T) {
	f := newFederation(t)
	if r.with != nil {
		r.with(f)
	} else {
		f.site("one.example")
	}
	for _, s := range f.order {
		f.start(s)
	}
	t.Cleanup(f.close)
	f.attempt(func() {
		if r.do != nil {
			r.do(f)
		} else {
			f.script(r.script)
		}
	})
	for _, failure := range f.failures {
		t.Error(failure)
	}
}

func newFederation(t *testing.T) *federation {
	f := &federation{play: newPlay(t, nil), net: newNetwork(), sites: map[string]*site{}}
	for name, w := range abroadWords {
		f.vars[name] = w
	}
	f.also = f.command
	f.store = func(domain string) roster.Store { return f.sites[domain].config.Stores.Roster }
	f.person = func(role string) (*client, net.Conn, bool) {
		j, err := stanza.ParseJID(abroad[role])
		if err != nil || f.sites[j.Domain()] == nil {
			return nil, nil, false
		}
		c := &client{user: j.Local(), domain: j.Domain(), resource: j.Resource()}
		return c, f.sites[j.Domain()].clients.Dial(), true
	}
	return f
}

func (f *federation) close() {
	f.play.close()
	for _, c := range f.autos {
		c.close()
	}
}

// site makes a server for domains, named by the first, without certificates.
func (f *federation) site(domains ...string) *site {
	s := &site{name: domains[0], settings: s2s.DefaultSettings(), options: s2s.Defaults(), component: component.Defaults()}
	s.component.Password = "quay"
	s.config.Options = host.Defaults()
	s.config.Options.Hosts = domains
	s.config.Features = host.Messenger()
	store := &host.MemoryAccounts{}
	s.config.Stores = host.Stores{
		Accounts: store, Roster: &roster.Memory{}, Offline: &offline.Memory{}, Private: &private.Memory{},
		VCard: &vcard.Memory{}, Blocking: &blocking.Memory{}, Last: &last.Memory{},
	}
	known, _ := citizens()
	for _, d := range domains {
		f.sites[d] = s
		for _, a := range known[d] {
			if err := store.Create(f.t.Context(), a); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	f.order = append(f.order, s)
	return s
}

// secured gives a server certificates for its domains.
func (s *site) secured() *site { s.secure = true; return s }

func (f *federation) start(s *site) {
	h, err := host.New(s.config)
	if err != nil {
		f.t.Fatal(err)
	}
	s.host = h
	if s.secure {
		s.options.TLS = &tls.Config{ClientCAs: trusted()}
		s.settings.TLS = &tls.Config{RootCAs: trusted()}
		for _, d := range append(slices.Clone(s.config.Options.Hosts), "echo."+s.name) { // a component
			c := *certificate(d)
			s.options.TLS.Certificates = append(s.options.TLS.Certificates, c)
			s.settings.TLS.Certificates = append(s.settings.TLS.Certificates, c)
		}
	}
	servers := s2s.New(s2s.Host{Domains: h.Local, Router: h.Local, Resolver: f.net, Dial: f.net.Dial, Secret: s.secret})
	servers.Configure(s.settings)
	h.Local.Next = servers
	s.shutdown = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.options.Grace)
		defer cancel()
		_ = servers.Shutdown(ctx)
	})
	f.t.Cleanup(s.shutdown)
	s.clients, s.servers, s.components = listentest.NewListener(), listentest.NewListener(), listentest.NewListener()
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true
	clients, components := c2s.New(all.C2S(h, nil)), component.New(component.Host{Router: h.Local})
	sm := c2s.StreamManagementDefaults()
	clients.SetStreamManagement(stanza.PerHost[*c2s.StreamManagement]{Value: &sm})
	f.listen(func(ctx context.Context) error { return clients.Listen(ctx, s.clients, o) })
	s.stopComponents = f.listen(func(ctx context.Context) error { return components.Listen(ctx, s.components, s.component) })
	s.stopServers = f.listen(func(ctx context.Context) error { return servers.Listen(ctx, overhearing{s.servers, f.net}, s.options) })
	if s.secure {
		s.direct = listentest.NewListenerAt(netip.MustParseAddrPort("192.0.2.1:5270"))
		c := s.options.TLS.Clone()
		c.ClientAuth, c.NextProtos = tls.RequestClientCert, []string{"xmpp-server"}
		f.listen(func(ctx context.Context) error {
			return servers.Listen(ctx, tls.NewListener(s.direct, c), s.options)
		})
	}
	for _, d := range s.config.Options.Hosts {
		f.net.open(f.net.address(d), s.servers.Dial)
	}
}

// listen serves until the end of the test, or until stop is called.
func (f *federation) listen(serve func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			f.t.Errorf("Listen: got %v, want context.Canceled", err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

// With what rows begin.
var (
	withTLS = func(f *federation) { f.site("one.example").secured() }
	withTwo = func(f *federation) { f.site("one.example", "other.example") }
	// three servers that trust one another by dialback
	world = func(f *federation) { f.site("one.example"); f.site("two.example"); f.site("three.example") }
	// and by certificates
	secureWorld = func(f *federation) {
		f.site("one.example").secured()
		f.site("two.example").secured()
		f.site("three.example").secured()
	}
)
