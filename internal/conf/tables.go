package conf

import (
	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/internal/certs"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Tables are what decoded options refer to, so that a reload changes them in
// running sessions. The pointers never change.
type Tables struct {
	ACL     *acl.Ref
	Shapers *shaper.Ref
	Certs   *certs.Ref
}

// NewTables returns empty tables: no rule, no shaper, no certificate.
func NewTables() *Tables {
	rules := new(acl.Ref)
	return &Tables{ACL: rules, Shapers: shaper.NewRef(rules), Certs: new(certs.Ref)}
}

// Content is what one configuration puts into the tables.
type Content struct {
	tables  *Tables
	acl     *acl.Set
	shapers *shaper.Set
	certs   *certs.Set
}

// Certificates describes those of certfiles. A nil Content has none.
func (c *Content) Certificates() []certs.Leaf {
	if c == nil {
		return nil
	}
	return c.certs.Leaves()
}

// Swap puts the content into effect. It does not block. A nil Content has
// none.
func (c *Content) Swap() {
	if c == nil {
		return
	}
	c.tables.ACL.Store(c.acl)
	c.tables.Shapers.Store(c.shapers)
	c.tables.Certs.Swap(c.certs)
}
