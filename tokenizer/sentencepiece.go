package tokenizer

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// sentencePiece is what is read of a SentencePiece model, sentencepiece_model.proto
// (Kudo and Richardson 2018, arXiv:1808.06226).
type sentencePiece struct {
	pieces       []pieceProto
	kind         uint64 // of the model: 1 is Unigram, 2 BPE
	byteFallback bool
	suffix       bool // spaces are at the ends of words
	unk          int32
	bos, eos     int32 // −1 for none
	charsmap     []byte
	dummyPrefix  bool
	squeeze      bool // spaces at the ends and in a row are left out
	escape       bool // spaces are written as ▁
}

// pieceProto is a token with its score and what it is.
type pieceProto struct {
	text  string
	score float32
	kind  pieceKind
}

type pieceKind uint64

const (
	normalPiece pieceKind = 1 + iota
	unknownPiece
	controlPiece
	userPiece // always a token where it stands in a text
	unusedPiece
	bytePiece
)

// field is a field of a message: a number, or bytes.
type field struct {
	number protowire.Number
	value  uint64 // of a varint or a float's bits
	bytes  []byte
}

// fields calls yield for the fields of a message that have a use here.
func fields(b []byte, yield func(field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(b)
			f.value = uint64(bits)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return fmt.Errorf("field %d: %w", number, protowire.ParseError(n))
		}
		b = b[n:]
		if err := yield(f); err != nil {
			return err
		}
	}
	return nil
}

// readSentencePiece reads a tokenizer.model.
func readSentencePiece(b []byte) (*sentencePiece, error) {
	m := &sentencePiece{kind: 1, bos: 1, eos: 2, dummyPrefix: true, squeeze: true, escape: true}
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			p, err := readPiece(f.bytes)
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(m.pieces), err)
			}
			m.pieces = append(m.pieces, p)
		case 2:
			return named("trainer_spec", fields(f.bytes, m.trainer))
		case 3:
			return named("normalizer_spec", fields(f.bytes, m.normalizer))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("no SentencePiece model: %w", err)
	}
	switch {
	case len(m.pieces) == 0:
		return nil, errors.New("no SentencePiece model: it has no pieces")
	case len(m.pieces) > maxID:
		return nil, fmt.Errorf("%d pieces, more than %d", len(m.pieces), maxID)
	case m.kind != 1 && m.kind != 2:
		return nil, fmt.Errorf("trainer_spec.model_type %d is not supported (supported: 1 Unigram, 2 BPE)", m.kind)
	case m.suffix:
		return nil, errors.New("trainer_spec.treat_whitespace_as_suffix is not supported")
	case m.unk < 0 || int(m.unk) >= len(m.pieces):
		return nil, fmt.Errorf("trainer_spec.unk_id %d is none of the %d pieces", m.unk, len(m.pieces))
	}
	return m, nil
}

func named(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func readPiece(b []byte) (pieceProto, error) {
	p := pieceProto{kind: normalPiece}
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			p.text = string(f.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(f.value))
		case 3:
			p.kind = pieceKind(f.value)
		}
		return nil
	})
	switch {
	case err != nil:
		return p, err
	case p.text == "":
		return p, errors.New("it has no text")
	case p.kind < normalPiece || p.kind > bytePiece:
		return p, fmt.Errorf("%q is of the unknown type %d", p.text, p.kind)
	case math.IsNaN(float64(p.score)) || math.IsInf(float64(p.score), 0):
		return p, fmt.Errorf("%q has the score %g", p.text, p.score)
	}
	return p, nil
}

func (m *sentencePiece) trainer(f field) error {
	switch f.number {
	case 3:
		m.kind = f.value
	case 24:
		m.suffix = f.value != 0
	case 35:
		m.byteFallback = f.value != 0
	case 40:
		m.unk = int32(f.value)
	case 41:
		m.bos = int32(f.value)
	case 42:
		m.eos = int32(f.value)
	}
	return nil
}

func (m *sentencePiece) normalizer(f field) error {
	switch f.number {
	case 2:
		m.charsmap = f.bytes
	case 3:
		m.dummyPrefix = f.value != 0
	case 4:
		m.squeeze = f.value != 0
	case 5:
		m.escape = f.value != 0
	}
	return nil
}
