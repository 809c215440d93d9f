costs(data.expressions, data.expressions[0].attention);
