package command

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Registry holds commands by name. The zero Registry is empty and ready. It is safe
// for concurrent use, and its readers do not wait; it must not be copied.
type Registry struct {
	mu     sync.Mutex // serialises Add
	byName atomic.Pointer[map[string]Command]
}

// Add adds commands: all of them, or none and an error. The error is about a
// command that could not be called, or whose name is taken. What the commands
// consist of must not change afterwards.
func (r *Registry) Add(list ...Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := make(map[string]Command, len(list))
	maps.Copy(m, r.commands())
	for _, c := range list {
		if err := c.check(); err != nil {
			return err
		}
		if _, taken := m[c.Name]; taken {
			return fmt.Errorf("there is a command %s already", c.Name)
		}
		m[c.Name] = c
	}
	r.byName.Store(&m)
	return nil
}

// Get returns the command of a name.
func (r *Registry) Get(name string) (c Command, ok bool) {
	c, ok = r.commands()[name]
	return c, ok
}

// List returns all commands, sorted by name.
func (r *Registry) List() []Command {
	return slices.SortedFunc(maps.Values(r.commands()), func(a, b Command) int { return cmp.Compare(a.Name, b.Name) })
}

func (r *Registry) commands() map[string]Command {
	if p := r.byName.Load(); p != nil {
		return *p
	}
	return nil
}
