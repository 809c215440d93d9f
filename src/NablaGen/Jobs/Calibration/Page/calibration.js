const lines = [
  { name: "by layer and head", colour: colour(1), points: data.curve.map(point => ({ x: point.density, y: point.error })) },
  { name: "one for all", colour: colour(2), points: data.curve.map(point => ({ x: point.density, y: point.global_error })) },
];
scatter($("curve"), [
  { name: "by layer and head", colour: colour(1), x: data.density, y: data.error },
  { name: "one for all", colour: colour(2), x: data.density, y: data.global_error },
], "density", "error", { most: 1, lines });
for (const line of lines) addKey($("curve-keys"), line.colour, line.name);
const values = data.thresholds.flat();
const [least, most] = [Math.floor(Math.min(...values) * 10) / 10, Math.ceil(Math.max(...values) * 10 - 1e-9) / 10];
heatMap($("map"), "Threshold", "layer \u00d7 head", data.thresholds, "layer", "head", least, most);
heatMap($("map"), "How much a layer counts", "its part of the model's error, the same for its heads", data.layer_weights.map(weight => [weight]), "layer", "all heads", 0, Math.max(...data.layer_weights));
heatLegend($("map-legend"), least, most, "threshold");
