package certs

import "crypto/tls"

// BuildClient is Build for those who connect. The CAs of the result are those
// that this call has read; of the certificates of ref its GetCertificate gives
// the one that ref has then. With Hosts the result has a GetConfigForClient, for
// ForHost.
func (s Spec) BuildClient(ref *Ref) (*tls.Config, []*Problem) {
	base, variants, problems := s.variants(ref)
	if failed(problems) {
		return nil, problems
	}
	cfg := base.client(ref)
	if len(variants) == 0 {
		return cfg, problems
	}
	hosts := make(map[string]*tls.Config)
	for name, v := range variants {
		hosts[name] = v.client(ref)
	}
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		return hosts[asciiName(h.ServerName)], nil // nil: cfg itself
	}
	return cfg, problems
}

// client returns the configuration with the CAs that were read last.
func (v *variant) client(ref *Ref) *tls.Config {
	if v.ca == nil {
		return v.template.Clone()
	}
	return v.with(ref.latest(v.ca).pool)
}

// ForHost returns the configuration that cfg has now for a virtual host: what its
// GetConfigForClient says, asked with nothing but the ServerName, or cfg itself.
// A nil cfg has none.
func ForHost(cfg *tls.Config, host string) (*tls.Config, error) {
	if cfg == nil || cfg.GetConfigForClient == nil {
		return cfg, nil
	}
	own, err := cfg.GetConfigForClient(&tls.ClientHelloInfo{ServerName: asciiName(host)})
	if err != nil || own == nil {
		return cfg, err
	}
	return own, nil
}
