package boltstore

import (
	"encoding/binary"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// millis returns a time of whole milliseconds.
func (d *decoder) millis() time.Time { return time.UnixMilli(d.int()).UTC() }

func encodeGrant(g host.Grant) []byte {
	b := binary.AppendUvarint([]byte{format1}, g.Revision)
	b = appendString(b, g.User.String())
	b = appendString(b, g.Client)
	b = appendString(b, g.Scopes)
	b = binary.AppendVarint(b, g.Issued.UnixMilli())
	b = binary.AppendVarint(b, g.Expires.UnixMilli())
	b = appendSecret(b, g.Code)
	b = appendString(b, g.Redirect)
	b = appendString(b, g.Challenge)
	b = appendFlag(b, g.Redeemed)
	b = appendSecret(b, g.Refresh)
	b = binary.AppendUvarint(b, uint64(len(g.Access)))
	for _, s := range g.Access {
		b = appendSecret(b, s)
	}
	return b
}

func decodeGrant(id host.GrantID, value []byte) (host.Grant, error) {
	d := decode(value)
	g := host.Grant{
		ID: id, Revision: d.uint(), User: d.jid(), Client: d.string(), Scopes: d.string(),
		Issued: d.millis(), Expires: d.millis(),
		Code: d.secret(), Redirect: d.string(), Challenge: d.string(), Redeemed: d.byte() != 0,
		Refresh: d.secret(),
	}
	for range d.len() {
		if s := d.secret(); d.err == nil {
			g.Access = append(g.Access, s)
		}
	}
	return g, d.end()
}

func appendFlag(b []byte, set bool) []byte {
	if set {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendSecret has one byte for no secret.
func appendSecret(b []byte, s host.Secret) []byte {
	if s == (host.Secret{}) {
		return append(b, 0)
	}
	b = append(append(b, 1), s.Hash[:]...)
	return binary.AppendVarint(appendString(b, s.Scopes), s.Expires.UnixMilli())
}

func (d *decoder) secret() (s host.Secret) {
	if d.byte() == 0 {
		return s
	}
	copy(s.Hash[:], d.take(uint64(len(s.Hash))))
	s.Scopes, s.Expires = d.string(), d.millis()
	return s
}

func encodeClient(c host.Client) []byte {
	b := appendFlag([]byte{format1, byte(c.Kind)}, c.Confidential)
	b = appendString(b, c.Name)
	b = binary.AppendUvarint(b, uint64(len(c.Redirects)))
	for _, r := range c.Redirects {
		b = appendString(b, r)
	}
	b = appendBytes(appendBytes(b, c.Salt), c.Key)
	return binary.AppendVarint(b, int64(c.Rounds))
}

func decodeClient(id string, value []byte) (host.Client, error) {
	d := decode(value)
	c := host.Client{OAuthClient: stanza.OAuthClient{
		ID: id, Kind: stanza.OAuthClientKind(d.byte()), Confidential: d.byte() != 0, Name: d.string(),
	}}
	for range d.len() {
		c.Redirects = append(c.Redirects, d.string())
	}
	c.Salt, c.Key, c.Rounds = d.bytes(), d.bytes(), int(d.int())
	return c, d.end()
}
