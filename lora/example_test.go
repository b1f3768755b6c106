package lora_test

import (
	"fmt"

	"gotune/lora"
	"gotune/model"
)

func Example() {
	shape, err := model.Shape("toy")
	if err != nil {
		panic(err)
	}
	base, err := model.New(shape, 1)
	if err != nil {
		panic(err)
	}
	adapter, err := lora.New(lora.Config{Rank: 8, Alpha: 16, Targets: []string{"q_proj", "v_proj"}}, base, 1)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d of %d parameters are trained\n", adapter.Count(), base.Count()+adapter.Count())
	fmt.Println(adapter.Parameters()[0].Name, adapter.Parameters()[0].Shape)

	_, err = lora.New(lora.Config{Rank: 8, Alpha: 16, Targets: []string{"query"}}, base, 1)
	fmt.Println(err)
	// Output:
	// 16384 of 873600 parameters are trained
	// model.layers.0.self_attn.q_proj.lora_A.weight [8 128]
	// lora target "query" matches no layer of the model (there are: down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj)
}
