package conf

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/internal/jidprep"
)

// tlsOptions are the options behind one *tls.Config.
type tlsOptions struct {
	on    bool // tls: true
	ask   bool // peers are asked for certificates, whatever is written
	spec  certs.Spec
	where map[string]map[string]*Node // where the options stand, by host and key
}

// readCertificates loads the files of certfiles.
func (d *Document) readCertificates() {
	var patterns []string
	var nodes []*Node
	add := func(n *Node) {
		for _, item := range d.Items(n) {
			if s, ok := d.String(item); ok {
				patterns, nodes = append(patterns, item.abs(s)), append(nodes, item)
			}
		}
	}
	if n := d.Top("certfiles"); n != nil {
		add(n)
	}
	for _, old := range []string{"domain_certfile", "c2s_certfile", "s2s_certfile"} {
		if n := d.top.Get(old); n != nil {
			d.used[old] = true
			d.Warnf(n, "deprecated: use certfiles")
			add(n)
		}
	}
	set, problems := certs.Load(patterns)
	d.loaded, d.content.certs = set, set
	d.noteCertificates(set)
	for _, p := range problems {
		n := d.top.Get("certfiles")
		switch {
		case p.Index >= 0 && p.Index < len(nodes):
			n = nodes[p.Index]
		case n == nil:
			n = d.top
		}
		d.certsFailed = d.certsFailed || !p.Warning
		d.certProblem(n, p)
	}
	if n := d.top.Get("hosts"); n != nil && !d.certsFailed && set.Len() > 0 {
		d.checkCovered(n, set)
	}
}

// checkCovered warns of virtual hosts that no certificate is for.
func (d *Document) checkCovered(hosts *Node, set *certs.Set) {
	for _, item := range hosts.items() {
		host, err := jidprep.Domain(item.Text)
		if err == nil && slices.Contains(d.Hosts, host) && !set.Covers(host) {
			d.Warnf(item, "no certificate in certfiles is for %s; clients that connect to it are shown another one", host)
		}
	}
}

// tlsOptions reads the options of a TLS field: those of the entry, under those
// of the top level that begin with the field's prefix, under those of a virtual
// host.
func (x *filler) tlsOptions(f *Field) *tlsOptions {
	o := &tlsOptions{ask: f.ask, where: map[string]map[string]*Node{"": {}}}
	o.spec.ALPN, o.spec.VerifyClient = f.alpn, f.ask
	if ca := x.Top("ca_file"); ca != nil {
		x.tlsOption(o, &o.spec, "", "cafile", ca)
	}
	for _, key := range f.Keys {
		if n := x.entry.Node.Get(key); n != nil {
			x.tlsOption(o, &o.spec, "", key, n)
		}
	}
	if f.prefix == "" {
		return o
	}
	for _, key := range x.overridable(f) {
		if n := x.Top(f.prefix + "_" + key); n != nil {
			x.tlsOption(o, &o.spec, "", key, n)
		}
	}
	for _, h := range x.Hosts {
		x.tlsHost(o, f, h)
	}
	return o
}

// overridable returns the TLS options that the top level and virtual hosts can
// set, with the prefix c2s_ or s2s_. For s2s the CA of the listener comes first,
// as in ejabberd.
func (x *filler) overridable(f *Field) []string {
	keys := []string{"ciphers", "dhfile", "protocol_options", "tls_compression"}
	if f.prefix != "s2s" || x.entry.Node.Get("cafile") == nil {
		keys = append(keys, "cafile")
	}
	return keys
}

// tlsHost adds the TLS options of one virtual host, which are complete.
func (x *filler) tlsHost(o *tlsOptions, f *Field, host string) {
	spec, set := o.spec, false
	spec.Hosts = nil
	o.where[host] = maps.Clone(o.where[""])
	for _, key := range x.overridable(f) {
		if n := x.host(host, f.prefix+"_"+key); n != nil {
			x.tlsOption(o, &spec, host, key, n)
			set = true
		}
	}
	if !set {
		return
	}
	if o.spec.Hosts == nil {
		o.spec.Hosts = make(map[string]certs.Spec)
	}
	o.spec.Hosts[host] = spec
}

// tlsOption decodes one option into spec.
func (x *filler) tlsOption(o *tlsOptions, spec *certs.Spec, host, key string, n *Node) {
	o.where[host][key] = n
	switch key {
	case "tls":
		o.on, _ = x.Bool(n)
	case "certfile":
		spec.CertFile = x.filePath(n)
		x.noteFile(spec.CertFile)
	case "cafile":
		spec.CAFile = x.filePath(n)
		x.noteFile(spec.CAFile)
	case "dhfile":
		spec.DHFile = x.filePath(n)
	case "ciphers":
		list, _ := x.Strings(n)
		spec.Ciphers = strings.Join(list, ":")
	case "protocol_options":
		spec.ProtocolOptions, _ = x.Strings(n)
	case "tls_compression":
		spec.Compression, _ = x.Bool(n)
	case "tls_verify":
		spec.VerifyClient, _ = x.Bool(n)
	}
}

// settings returns the options one by one, with a prefix before their names.
func (o *tlsOptions) settings(prefix string) (list []Setting) {
	add := func(host string, s certs.Spec) {
		s.VerifyClient = s.VerifyClient && !o.ask
		words := slices.Sorted(slices.Values(s.ProtocolOptions))
		for _, v := range []Setting{
			{Name: "certfile", value: s.CertFile}, {Name: "cafile", value: s.CAFile},
			{Name: "dhfile", value: s.DHFile}, {Name: "ciphers", value: s.Ciphers},
			{Name: "protocol_options", value: strings.Join(words, "|")},
			{Name: "tls_compression", value: strings.TrimPrefix(strconv.FormatBool(s.Compression), "false")},
			{Name: "tls_verify", value: strings.TrimPrefix(strconv.FormatBool(s.VerifyClient), "false")},
		} {
			if v.value != "" {
				v.Name = prefix + v.Name + host
				list = append(list, v)
			}
		}
	}
	add("", o.spec)
	for _, h := range slices.Sorted(maps.Keys(o.spec.Hosts)) {
		list = append(list, Setting{Name: prefix + "tls@" + h, value: "options of its own"})
		add("@"+h, o.spec.Hosts[h])
	}
	return list
}

// filePath reads the path of a file, relative to the configuration file.
func (x *filler) filePath(n *Node) string {
	s, ok := x.String(n)
	if !ok {
		return ""
	}
	if s == "" {
		x.Errorf(n, "want the path of a file, got an empty string")
	}
	return n.abs(s)
}
