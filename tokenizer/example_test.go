package tokenizer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gotune/model/base"
	"gotune/tokenizer"
)

// A tokenizer of a model folder, here the embedded base's.
func Example() {
	files, err := base.FS()
	if err != nil {
		panic(err)
	}
	t, err := tokenizer.Load(files, "base")
	if err != nil {
		panic(err)
	}
	ids := t.Encode("Where is the wobbly pillow?<|im_end|>")
	var tokens []string
	for _, id := range ids {
		tokens = append(tokens, t.Decode([]int32{id}, false))
	}
	fmt.Println(strings.Join(tokens, "|"))
	fmt.Println(t.Decode(ids, true))
	fmt.Println(len(t.EncodeText("<|im_end|>")), "tokens where a mark is text, 1 where it is a mark")
	// Output:
	// W|here| is| the| w|obb|ly| pillow|?|<|im_end|>
	// Where is the wobbly pillow?
	// 7 tokens where a mark is text, 1 where it is a mark
}

// Characters of several tokens come out whole.
func ExampleStream() {
	t := trained()
	s := t.Stream()
	for _, id := range t.Encode("für π") {
		fmt.Printf("%q ", s.Next(id))
	}
	fmt.Printf("%q\n", s.Flush())
	// Output: "f" "" "ü" "r" " " "" "π" ""
}

func ExampleTrain() {
	t := trained()
	eos, _ := t.EOS()
	fmt.Println(t.VocabSize(), "tokens; the end of a text is", eos)
	fmt.Println(len(t.Encode("the cat and the hat")), "tokens for 19 bytes")
	// Output:
	// 275 tokens; the end of a text is 0
	// 5 tokens for 19 bytes
}

// trained is a tokenizer of a few words.
func trained() *tokenizer.Tokenizer {
	text := strings.Repeat("the cat sat on the mat and the hat sat on the cat. ", 20)
	t, err := tokenizer.Train(context.Background(), slices.Values([]string{text}), tokenizer.TrainConfig{
		VocabSize: 280, SpecialTokens: []string{"<|endoftext|>", "<|pad|>"}, EOS: "<|endoftext|>", Pad: "<|pad|>",
	})
	if err != nil {
		panic(err)
	}
	return t
}
