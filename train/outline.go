package train

import (
	"fmt"

	"gotune/model"
	"gotune/optim"
)

// checkTrained checks what each stage trains by the names and shapes of the
// model's weights, before any of them is read: targets and rank of adapters, the
// last layers, groups of parameters.
func (in *inputs) checkTrained(r Recipe) error {
	m, err := model.Outline(in.config)
	if err != nil {
		return err
	}
	if r, err = r.withTargets(in.config.ModelType).withAdapter(); err != nil {
		return err
	}
	for i, one := range r.plan() {
		err := one.checkTrained(m)
		if err != nil && len(r.Stages) > 0 {
			err = fmt.Errorf("stages[%d] (%s): %w", i, one.Name, err)
		}
		if err != nil {
			return usage{err}
		}
	}
	return nil
}

func (r Recipe) checkTrained(m *model.Model) error {
	if last, layers := r.LastLayers, m.Config.Layers; last > layers {
		return fmt.Errorf("last_layers is %d, but the model has only %d layers", last, layers)
	}
	adapter, err := r.outlineAdapter(m)
	if err != nil {
		return err
	}
	if adapter != nil {
		defer adapter.Release() // the outline serves the other stages too
	}
	parameters, err := r.parameters(m, adapter)
	if err != nil {
		return err
	}
	_, err = optim.Settings(optimizable(parameters), r.optimizer(m.Config.Layers))
	return err
}
