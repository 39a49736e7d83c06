package boltstore

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// addGrants is the step to version 3 of the schema, which has tables of grants and
// clients.
func addGrants(tx *bbolt.Tx) error {
	for _, t := range []table{grantTable, ownGrantTable, clientTable} {
		if _, err := tx.CreateBucketIfNotExists(t.name()); err != nil {
			return err
		}
	}
	return nil
}

// grants checks the table of grants.
func (c *checker) grants() error {
	last := c.tx.Bucket(grantTable.name()).Sequence()
	own := c.tx.Bucket(ownGrantTable.name())
	return c.each(func(key, value []byte) {
		c.count++
		id, err := parseGrantID(key)
		if err != nil {
			c.problem(key, err)
			return
		}
		g, err := decodeGrant(id, value)
		switch {
		case err != nil:
		case g.Revision > last:
			err = fmt.Errorf("its revision is %d, and %d was the last", g.Revision, last)
		case own.Get(ownGrantKey(g.User, id)) == nil:
			err = fmt.Errorf("it is not in the list of %s", g.User)
		default:
			err = wantCanonical(g.User)
		}
		c.problem(key, err)
	})
}

// ownGrants checks the lists of the users' grants.
func (c *checker) ownGrants() error {
	all := c.tx.Bucket(grantTable.name())
	return c.each(func(key, value []byte) {
		c.count++
		user, sub, err := splitKey(key)
		if err == nil {
			_, err = parseGrantID(sub)
		}
		if err != nil {
			c.problem(key, err)
			return
		}
		of := all.Get(sub)
		if of == nil {
			c.problem(key, errors.New("there is no such grant"))
			return
		}
		// One that cannot be decoded was reported already.
		if g, err := decodeGrant([16]byte(sub), of); err == nil && g.User != user {
			c.problem(key, fmt.Errorf("the grant is that of %s", g.User))
		}
	})
}

// clients checks the table of clients.
func (c *checker) clients() error {
	return c.each(func(key, value []byte) {
		c.count++
		_, err := decodeClient(string(key), value)
		c.problem(key, err)
	})
}
