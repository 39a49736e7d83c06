package host

import "github.com/tidewaiter/tidewaiter/listen/stanza"

// coming is an account that is about to get its first session. It hears of
// changes of its block list from before the list is read until the session is in
// the table. What it is told is newer than what is read: so the list is read
// once, however often it changes meanwhile. The shard's mu guards the fields.
type coming struct {
	binds  int     // who read the list, or have read it
	told   bool    // blocks comes from setBlocks
	blocks blocker // nil: nobody
}

// expect begins to note changes of whom an account blocks; arrive ends it.
func (t *table) expect(bare stanza.JID) *coming {
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.coming[bare]
	if c == nil {
		c = new(coming)
		sh.coming[bare] = c
	}
	c.binds++
	return c
}

// read notes whom an account blocks, as was read after expect.
func (t *table) read(bare stanza.JID, c *coming, f blocker) {
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !c.told {
		c.blocks = f
	}
}

// arrive ends what expect, which has returned c, began. A nil c is nothing.
func (t *table) arrive(bare stanza.JID, c *coming) {
	if c == nil {
		return
	}
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c.binds--; c.binds == 0 {
		delete(sh.coming, bare)
	}
}
