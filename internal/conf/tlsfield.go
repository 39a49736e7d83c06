package conf

import (
	"crypto/tls"
	"reflect"
	"slices"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// tlsField builds the *tls.Config of a field, which with tls: true is also that
// of the listener.
func (x *filler) tlsField(field reflect.Value, f *Field) {
	if x.entry.Datagram {
		x.noTLS(f, "transport: udp")
		return
	}
	o := x.tlsOptions(f)
	config := x.build(f, o)
	if f.direct && !o.on {
		x.noTLS(f, "tls: false")
		return
	}
	if x.loaded.Len() == 0 && o.spec.CertFile == "" {
		x.noteTLS(f.Name, "no certificate", []Setting{{Name: "certificate", value: "none"}})
		x.noCertificate(o, f)
		return
	}
	x.noteTLS(f.Name, o.spec.String(), o.settings(""))
	if o.on {
		x.noteTLS("tls", "true", []Setting{{Name: "tls", value: "true"}})
		x.tls = config
	}
	field.Set(reflect.ValueOf(config))
}

// clientField builds the *tls.Config of those who connect, which they need
// with and without a certificate.
func (x *filler) clientField(field reflect.Value, f *Field) {
	o := x.tlsOptions(f)
	x.noteTLS(f.Name, o.spec.String(), o.settings(f.prefix+"_"))
	field.Set(reflect.ValueOf(x.build(f, o)))
	if x.loaded.Len() > 0 || x.certsFailed {
		return
	}
	for _, n := range x.startTLSWords(f) {
		if n.Text == "required_trusted" {
			x.Errorf(n, "there is no certificate, and by nothing else would other servers know this one; %s", setCertfiles)
		}
	}
}

const setCertfiles = "set certfiles at the top level"

// startTLSWords returns where the top level and host_config say how streams are
// encrypted that have this TLS field.
func (x *filler) startTLSWords(f *Field) (list []*Node) {
	if f.prefix != "s2s" {
		return nil
	}
	if n := x.Top("s2s_use_starttls"); n != nil {
		list = append(list, n)
	}
	for _, h := range x.Hosts {
		if n := x.host(h, "s2s_use_starttls"); n != nil {
			list = append(list, n)
		}
	}
	return list
}

// build makes the *tls.Config, nil if its options have mistakes.
func (x *filler) build(f *Field, o *tlsOptions) *tls.Config {
	compile := o.spec.Build
	if f.client {
		compile = o.spec.BuildClient
	}
	config, problems := compile(x.tables.Certs)
	for _, p := range problems {
		x.tlsProblem(o, p)
	}
	return config
}

// noTLS warns of TLS options of a socket that has no TLS. That one for datagrams
// cannot have tls is the caller's to say.
func (x *filler) noTLS(f *Field, cause string) {
	for _, key := range f.Keys {
		if n := x.entry.Node.Get(key); n != nil && key != "tls" {
			x.Warnf(n, "has no effect with %s", cause)
		}
	}
}

// noCertificate reports what an entry cannot do without a certificate, unless
// the cause is reported already.
func (x *filler) noCertificate(o *tlsOptions, f *Field) {
	if x.certsFailed {
		return
	}
	remedy := setCertfiles
	if slices.Contains(f.Keys, "certfile") && f.prefix == "" {
		remedy = "set certfile, or certfiles at the top level"
	}
	if o.on {
		x.Errorf(x.entry.Node.Get("tls"), "there is no certificate; %s", remedy)
		return
	}
	for _, n := range x.startTLSWords(f) {
		switch n.Text {
		case "required":
			x.Errorf(n, "there is no certificate, so no other server could connect; %s", remedy)
		case "optional":
			x.Warnf(n, "there is no certificate, so STARTTLS is not offered to other servers; %s", remedy)
		}
	}
	if f.prefix == "s2s" {
		return
	}
	for _, key := range []string{"starttls_required", "starttls", "tls_verify"} {
		n := x.entry.Node.Get(key)
		if n == nil {
			continue
		}
		if on, _ := x.Bool(n); !on {
			continue
		}
		switch key {
		case "starttls_required":
			x.Errorf(n, "there is no certificate, so nobody could log in; %s", remedy)
		case "starttls":
			x.Warnf(n, "there is no certificate, so STARTTLS is not offered; %s", remedy)
		case "tls_verify":
			x.Warnf(n, "there is no certificate, so there is no TLS in which a client could show its own; %s", remedy)
		}
		return
	}
}

// tlsProblem reports what is wrong with a TLS option where it is written.
func (x *filler) tlsProblem(o *tlsOptions, p *certs.Problem) {
	n := o.where[p.Host][p.Key]
	if n == nil {
		n = o.where[""][p.Key]
	}
	if n == nil {
		n = x.entry.Node
	}
	if n == nil {
		n = x.top
	}
	x.certProblem(n, p)
}

// certProblem reports a problem of TLS options about n, or about the element of
// n that it names.
func (d *Document) certProblem(n *Node, p *certs.Problem) {
	if n.Kind == List && p.Index >= 0 && p.Index < len(n.List) {
		n = n.List[p.Index]
	}
	if p.Warning {
		d.Warnf(n, "%v", p).because(p)
		return
	}
	d.Errorf(n, "%v", p).because(p)
}
