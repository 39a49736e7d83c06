package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// Spec holds the TLS options of one listener. The zero Spec is TLS 1.2 and 1.3
// with the cipher suites of crypto/tls and the certificates of the Ref.
type Spec struct {
	// CertFile is a PEM file with key and chain that serves this listener
	// alone. "": the certificates of the Ref.
	CertFile string
	// CAFile is a PEM file with the CAs of peers. "": those of the system.
	CAFile string
	// DHFile is checked and otherwise without effect.
	DHFile string
	// Ciphers is an OpenSSL cipher list. "": the default of crypto/tls.
	Ciphers string
	// ProtocolOptions are OpenSSL option words; one string may hold several,
	// joined with "|".
	ProtocolOptions []string
	// Compression must be false: crypto/tls has none.
	Compression bool
	// VerifyClient asks clients for a certificate. It neither demands nor
	// verifies one: see VerifyPeer.
	VerifyClient bool
	// ALPN are the application protocols, best first. Empty: none is
	// negotiated. A client that offers some, but none of these, is refused
	// (RFC 7301, section 3.2); XEP-0368 says nothing else.
	ALPN []string
	// Hosts holds the options for the virtual hosts that have their own,
	// chosen by SNI. Each is complete: what it does not set is not taken from
	// the Spec around it. Their own Hosts are not looked at.
	Hosts map[string]Spec
}

// Build reads the files that s names and makes the configuration of a server.
// It is nil if one of the problems is no Warning.
//
// Certificates and CAs are looked up at each handshake: those that ref has
// then. The configuration must not be changed, except on a Clone. With a CAFile
// or Hosts it has a GetConfigForClient, which returns the same pointer for a
// name until the next Swap; its own ClientCAs are those read by this call.
// Session tickets are encrypted with the keys of the configuration itself, so
// those who Clone it once a connection lose resumption.
func (s Spec) Build(ref *Ref) (*tls.Config, []*Problem) {
	base, hosts, problems := s.variants(ref)
	if failed(problems) {
		return nil, problems
	}
	cfg := base.config().Clone()
	if len(hosts) > 0 || base.ca != nil {
		cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if v := hosts[asciiName(h.ServerName)]; v != nil {
				return v.config(), nil
			}
			return base.config(), nil
		}
	}
	return cfg, problems
}

// variants reads the files that s names and makes the configurations of s and of
// its Hosts.
func (s Spec) variants(ref *Ref) (base *variant, hosts map[string]*variant, problems []*Problem) {
	b := builder{ref: ref, files: make(map[fileKey]*file)}
	base, problems = b.compile(s)
	own := make(map[string]bool)
	for _, p := range problems {
		own[p.Key+p.Error()] = true
	}
	hosts = make(map[string]*variant)
	for _, name := range slices.Sorted(maps.Keys(s.Hosts)) {
		v, list := b.compile(s.Hosts[name])
		hosts[asciiName(name)] = v
		for _, p := range list {
			if !own[p.Key+p.Error()] { // said already
				p.Host = name
				problems = append(problems, p)
			}
		}
	}
	return base, hosts, problems
}

// variant is the configuration of one name, renewed when its CAs are.
type variant struct {
	template *tls.Config
	ca       *file // nil: the CAs of the system
	current  atomic.Pointer[tls.Config]
}

func (v *variant) config() *tls.Config {
	if v.ca == nil {
		return v.template
	}
	pool := v.ca.live.Load().pool
	if c := v.current.Load(); c != nil && c.ClientCAs == pool {
		return c
	}
	c := v.with(pool)
	v.current.Store(c)
	return c
}

// with returns the configuration with given CAs.
func (v *variant) with(pool *x509.CertPool) *tls.Config {
	c := v.template.Clone()
	c.ClientCAs, c.RootCAs = pool, pool
	return c
}

// builder keeps the files that one Build has read: hosts share most of them.
type builder struct {
	ref   *Ref
	files map[fileKey]*file
}

// compile makes the configuration without looking at s.Hosts.
func (b builder) compile(s Spec) (*variant, []*Problem) {
	cfg := &tls.Config{NextProtos: slices.Clone(s.ALPN), GetCertificate: b.ref.getCertificate}
	v := &variant{template: cfg}
	var problems []*Problem
	if s.CertFile != "" {
		f, list := b.file("certfile", s.CertFile, readCertFile)
		problems = append(problems, list...)
		if f != nil {
			cfg.GetCertificate = f.getCertificate
		}
	}
	if s.CAFile != "" {
		f, list := b.file("cafile", s.CAFile, readCAFile)
		problems = append(problems, list...)
		v.ca = f
	}
	problems = append(problems, checkDHFile(s.DHFile)...)
	problems = append(problems, setProtocols(cfg, s.ProtocolOptions)...)
	problems = append(problems, setCiphers(cfg, s.Ciphers)...)
	if s.Compression {
		problems = append(problems, &Problem{Key: "tls_compression", Index: -1, Err: errors.New("crypto/tls has no compression; set it to false")})
	}
	if s.VerifyClient {
		cfg.ClientAuth = tls.RequestClientCert
	}
	return v, problems
}

// file reads and registers a file, once a Build; nil if it cannot be used.
func (b builder) file(option, path string, read func(string) (*content, []*Problem)) (*file, []*Problem) {
	key := fileKey{option, filepath.Clean(path)}
	if f := b.files[key]; f != nil {
		return f, nil
	}
	c, problems := read(path)
	if failed(problems) {
		return nil, problems
	}
	f := b.ref.register(key, c)
	b.files[key] = f
	return f, problems
}

func readCertFile(path string) (*content, []*Problem) {
	set, problems := loadFile(path)
	return &content{set: set}, problems
}

func readCAFile(path string) (*content, []*Problem) {
	r := reporter{key: "cafile"}
	data, _, err := readFile(path)
	if err != nil {
		r.fail(-1, path, err)
		return nil, r.list
	}
	f := parsePEM(data)
	for _, err := range f.errs {
		r.fail(-1, path, err)
	}
	for _, err := range f.warnings {
		r.warn(-1, path, err)
	}
	if len(f.certs) == 0 && len(f.errs) == 0 {
		r.fail(-1, path, errors.New("no certificate in it"))
	}
	pool := x509.NewCertPool()
	for _, c := range f.certs {
		pool.AddCert(c)
	}
	return &content{pool: pool}, r.list
}

func checkDHFile(path string) []*Problem {
	if path == "" {
		return nil
	}
	r := reporter{key: "dhfile"}
	if _, _, err := readFile(path); err != nil {
		r.fail(-1, path, err)
	} else {
		r.warn(-1, path, errors.New("has no effect: crypto/tls has no finite-field Diffie-Hellman"))
	}
	return r.list
}

// String returns the canonical form: Specs with the same one behave alike,
// given the same files.
func (s Spec) String() string {
	var b strings.Builder
	s.print(&b)
	for _, name := range slices.Sorted(maps.Keys(s.Hosts)) {
		fmt.Fprintf(&b, " host %q {", asciiName(name))
		s.Hosts[name].print(&b)
		b.WriteString("}")
	}
	return b.String()
}

func (s Spec) print(b *strings.Builder) {
	options := protocolWords(s.ProtocolOptions)
	slices.Sort(options)
	fmt.Fprintf(b, "certfile=%q cafile=%q dhfile=%q ciphers=%q protocol_options=%q tls_compression=%t tls_verify=%t alpn=%q",
		s.CertFile, s.CAFile, s.DHFile, s.Ciphers, slices.Compact(options), s.Compression, s.VerifyClient, s.ALPN)
}
