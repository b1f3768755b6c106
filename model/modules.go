package model

import (
	"maps"
	"slices"
	"strings"
)

// Modules lists the modules of the model by name: those that have weights, what they
// are parts of, and the head, tied or not.
func (m *Model) Modules() []string {
	all := make(map[string]bool)
	for _, w := range m.arch.weights(m.Config) {
		for name := parent(w.name); name != ""; name = parent(name) {
			all[name] = true
		}
	}
	all[parent(m.untiedHead())] = true
	return slices.Sorted(maps.Keys(all))
}

// parent is the name of the module that a module, or a weight, is in.
func parent(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }

// untiedHead is the weight of the head as it is called where it is not tied.
func (m *Model) untiedHead() string {
	c := m.Config
	c.TieWordEmbeddings = false
	return m.arch.head(c)
}

// Embedding is the name of the table of token embeddings, and Head that of the
// weight of the head. Where the head is tied to the table, Tied, it has no weight of its
// own.
func (m *Model) Embedding() string { return m.arch.embedding }

// Head is the name of the head's own weight; see [Model.Embedding].
func (m *Model) Head() string { return m.untiedHead() }

// Tied reports whether the head is the table of token embeddings.
func (m *Model) Tied() bool { return m.arch.head(m.Config) == m.arch.embedding }

// Untie gives the head a weight of its own, which shares its memory with the table of
// embeddings. Programs and generators made before are not to be used any more.
func (m *Model) Untie() {
	if !m.Tied() {
		return
	}
	if w := m.Frozen[m.arch.embedding]; w != nil {
		m.Frozen[m.untiedHead()] = w
	} else {
		m.Weights[m.untiedHead()] = m.Weights[m.arch.embedding]
	}
	m.Config.TieWordEmbeddings = false
}

// Tie makes the table of token embeddings the head, as it was before Untie.
func (m *Model) Tie() {
	if m.Tied() {
		return
	}
	delete(m.Frozen, m.untiedHead())
	delete(m.Weights, m.untiedHead())
	m.Config.TieWordEmbeddings = true
}
