#pragma once

// An archetype entity-component-system.
//   World      entities, components, resources, snapshots       world.hpp
//   Query      iterates entities by what they have              query.hpp
//   Commands   structural changes for later                     commands.hpp
//   EventQueue events                                           events.hpp
//   Schedule   systems in order and in parallel                 schedule.hpp

#include "grove/game/engine/ecs/schedule.hpp"
