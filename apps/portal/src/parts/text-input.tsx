import { AlertCircle } from 'lucide-react';
import { FieldError, Input, Label, TextField } from 'react-aria-components';

interface TextInputProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly error?: string | undefined;
  readonly testId: string;
  readonly type?: 'text' | 'password' | 'date';
  readonly autoComplete?: string;
  readonly max?: string;
  readonly autoFocus?: boolean;
}

/** A labelled line of text whose error stands under it and is read out with it. */
export function TextInput(props: TextInputProps) {
  const { label, value, onChange, error, testId, type = 'text', autoComplete = 'off' } = props;
  return (
    <TextField
      className="field"
      value={value}
      onChange={onChange}
      isInvalid={error !== undefined}
      type={type}
      autoComplete={autoComplete}
      isRequired
      validationBehavior="aria"
      autoFocus={props.autoFocus ?? false}
    >
      <Label className="label">{label}</Label>
      <Input className="input" data-testid={testId} max={props.max} />
      <FieldError className="field-error">
        <AlertCircle size={14} aria-hidden />
        {error}
      </FieldError>
    </TextField>
  );
}
