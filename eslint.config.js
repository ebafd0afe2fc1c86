import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const noPulumi = {
  group: ["@pulumi/*"],
  message: "This is pure, or runs outside Pulumi too: data in, data out. Pulumi belongs into components/*/<kind>.ts.",
};

/** Style that the types cannot say. */
const syntax = [
  {
    selector: "CallExpression[callee.property.name='apply'] NewExpression[callee.type='MemberExpression']",
    message: "Construct nothing inside .apply: the preview would not show it.",
  },
  {
    selector: "CallExpression[callee.property.name='apply'] ThrowStatement",
    message: "Throw nothing inside .apply: check plain settings before the first resource.",
  },
  { selector: "ExportAllDeclaration", message: "No barrels: import from the file that has it." },
  { selector: "TSEnumDeclaration", message: "Use a union of literals: types are stripped, not compiled." },
];

export default defineConfig(
  { ignores: ["node_modules/", "examples/", "setup/toolchain/dynamic/", "coverage/"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
      "@typescript-eslint/prefer-readonly": "error",
      // A void function in an arrow body is the shortest way to say "and nothing else".
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      eqeqeq: "error",
      "no-param-reassign": "error",
      "no-console": "error",
      "prefer-const": "error",
      "no-restricted-syntax": ["error", ...syntax],
    },
  },
  {
    files: ["stack/**/*.ts", "observe/**/*.ts", "checks/**/*.ts", "components/*/plan.ts", "components/*/settings.ts"],
    rules: { "no-restricted-imports": ["error", { patterns: [noPulumi] }] },
  },
  {
    files: ["tests/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "no-console": "off",
    },
  },
);
